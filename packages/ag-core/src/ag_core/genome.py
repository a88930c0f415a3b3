"""Places on a genome and changes to it: `Interval`, `Variant`, and the only code that reads and writes their text.

Numbers are 0-based half-open, with one exception that the field insists on: `Variant.position` is 1-based, as in
VCF. Text for people (`chr1:1,001-2,000`, variants) is 1-based; `str(interval)` is the 0-based form of the
AlphaGenome tools. Standard library only.
"""

import dataclasses
import enum
import re
from collections.abc import Callable, Mapping
from typing import Any

STRANDS = ("+", "-", ".")
# Numbers have up to 18 digits (24 signs with commas): Python refuses to read thousands of them.
_INTERVAL = re.compile(r"(.+):(-?\d{1,18})-(-?\d{1,18})(?::([-+.]))?")
_REGION = re.compile(r"(.+?):([\d,]{1,24})(?:-([\d,]{1,24}))?")
_BLOCK = 256  # bases fetched at a time while a variant moves left


def chromosome_aliases(chromosome: str) -> tuple[str, ...]:
    """Other spellings of a chromosome's name, the likeliest first: chr1 and 1; chrM, MT, M and chrMT."""
    if chromosome in (mitochondrial := ("chrM", "MT", "M", "chrMT")):
        return tuple(name for name in mitochondrial if name != chromosome)
    bare = chromosome.removeprefix("chr")
    return (bare,) if bare != chromosome else (f"chr{chromosome}",)


@dataclasses.dataclass(frozen=True, order=True)
class Interval:
    """A stretch [start, end) of a chromosome, 0-based half-open; may hang off the chromosome's ends.

    `name` and `info` take no part in comparison and hashing. Raises ValueError for end < start or a bad strand.
    """

    chromosome: str
    start: int
    end: int
    strand: str = "."
    name: str = dataclasses.field(default="", compare=False)
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self):
        if self.end < self.start:
            raise ValueError(
                f"interval {self.chromosome}:{self.start}-{self.end} ends before it starts; "
                "expected start <= end (0-based half-open), swap them"
            )
        if self.strand not in STRANDS:
            raise ValueError(f"strand {self.strand!r} is none of {STRANDS}; use '.' when the strand does not matter")

    @classmethod
    def from_str(cls, text: str) -> "Interval":
        """Reads `chr:start-end` or `chr:start-end:strand`, 0-based half-open, as `str(interval)` writes it.

        Beware: regions copied from a genome browser or samtools are 1-based; `from_region` reads those.
        """
        if not (match := _INTERVAL.fullmatch(text.strip())):
            raise ValueError(
                f"cannot read the interval {text!r}; expected chromosome:start-end[:strand], "
                "0-based half-open (for 1-based regions such as chr1:1,001-2,000 use Interval.from_region)"
            )
        chromosome, start, end, strand = match.groups()
        return cls(chromosome, int(start), int(end), strand or ".")

    @classmethod
    def from_region(cls, text: str) -> "Interval":
        """Reads a genome browser's `chr1:1,001-2,000` (or `chr1:1,001`, one base): 1-based, both ends included."""
        match = _REGION.fullmatch(text.strip())
        numbers = [int(part.replace(",", "") or 0) for part in match.groups()[1:] if part] if match else []
        if not match or numbers[0] < 1 or numbers[-1] < numbers[0]:
            raise ValueError(
                f"cannot read the region {text!r}; expected chromosome:first-last, 1-based with both ends "
                "included and 1 <= first <= last, such as chr1:1,001-2,000"
            )
        return cls(match[1], numbers[0] - 1, numbers[-1])

    @property
    def region(self) -> str:
        """Text for people, `chr1:1,001-2,000`: 1-based, both ends included, without the strand."""
        return f"{self.chromosome}:{self.start + 1:,}-{self.end:,}"

    def __str__(self) -> str:
        return f"{self.chromosome}:{self.start}-{self.end}:{self.strand}"

    @property
    def width(self) -> int:
        """Number of base pairs."""
        return self.end - self.start

    @property
    def negative_strand(self) -> bool:
        """Whether the strand is '-'."""
        return self.strand == "-"

    def center(self, use_strand: bool = True) -> int:
        """The middle; where the width is odd, the later of two candidates unless the strand is '-' and is used."""
        middle = (self.start + self.end) // 2
        return middle if self.negative_strand and use_strand else middle + self.width % 2

    def resize(self, width: int, use_strand: bool = True) -> "Interval":
        """Changes the width around the centre.

        One base at p becomes [p + 1 - width/2, p + 1 + width/2) for an even width. Raises ValueError if negative.
        """
        if width < 0:
            raise ValueError(f"cannot resize {self} to {width} bp; expected a width of 0 or more")
        if width == self.width:
            return self
        center, small, large = self.center(use_strand), width // 2, (width + 1) // 2
        left, right = (small, large) if self.negative_strand and use_strand else (large, small)
        return dataclasses.replace(self, start=center - left, end=center + right)

    def shift(self, offset: int, use_strand: bool = True) -> "Interval":
        """Moves by `offset` bp downstream: to the right, or to the left for '-' when the strand is used."""
        offset = -offset if self.negative_strand and use_strand else offset
        return dataclasses.replace(self, start=self.start + offset, end=self.end + offset)

    def pad(self, upstream: int, downstream: int, use_strand: bool = True) -> "Interval":
        """Grows (or, with negative numbers, shrinks) both sides; upstream is left, or right for a used '-'."""
        left, right = (downstream, upstream) if self.negative_strand and use_strand else (upstream, downstream)
        return dataclasses.replace(self, start=self.start - left, end=self.end + right)

    def boundary_shift(self, start: int, end: int, use_strand: bool = True) -> "Interval":
        """Moves the two boundaries separately: the same as `pad(-start, end)`."""
        return self.pad(-start, end, use_strand)

    def within_reference(self, length: int) -> bool:
        """Whether it lies wholly on a chromosome of `length` bp."""
        return self.start >= 0 and self.end <= length

    def truncate(self, length: int) -> "Interval":
        """Clips both ends into [0, length]."""
        if length <= 0:
            raise ValueError(f"cannot truncate {self} to a chromosome of {length} bp; expected a positive length")
        start, end = (min(max(end, 0), length) for end in (self.start, self.end))
        return dataclasses.replace(self, start=start, end=end)

    def overlaps(self, other: "Interval") -> bool:
        """Whether they share a base, whatever the strands; touching is not overlapping."""
        return self.chromosome == other.chromosome and self.start < other.end and other.start < self.end

    def contains(self, other: "Interval") -> bool:
        """Whether `other` lies wholly inside, whatever the strands."""
        return self.chromosome == other.chromosome and self.start <= other.start and other.end <= self.end

    def intersect(self, other: "Interval") -> "Interval | None":
        """The shared part with this interval's strand, name and info; None when there is none."""
        if not self.overlaps(other):
            return None
        return dataclasses.replace(self, start=max(self.start, other.start), end=min(self.end, other.end))

    def swap_strand(self) -> "Interval":
        """The same stretch on the other strand. Raises ValueError for '.'."""
        if self.strand == ".":
            raise ValueError(f"{self} has no strand to swap; set strand='+' or '-' first")
        return dataclasses.replace(self, strand="-" if self.negative_strand else "+")

    def as_unstranded(self) -> "Interval":
        """The same stretch with strand '.'."""
        return dataclasses.replace(self, strand=".")


class VariantFormat(enum.StrEnum):
    """Ways to write a variant; the `chr` prefix is optional in all of them."""

    DEFAULT = "default"  # chr22:1024:A>C
    GTEX = "gtex"  # chr22_1024_A_C_b38, the build is optional
    OPEN_TARGETS = "open_targets"  # 22_1024_A_C
    OPEN_TARGETS_BIGQUERY = "open_targets_bigquery"  # 22:1024:A:C
    GNOMAD = "gnomad"  # 22-1024-A-C


def _pattern(separator: str, arrow: str, suffix: str = "") -> re.Pattern[str]:
    parts = (r"(?:chr)?(X|Y|M|\d+)", r"(\d{1,18})", rf"([ACGTN]*){arrow}([ACGTN]*){suffix}")
    return re.compile(separator.join(parts))


_VARIANTS = {
    VariantFormat.DEFAULT: (_pattern(":", ">"), "chr22:1024:A>C"),
    VariantFormat.GTEX: (_pattern("_", "_", r"(?:_[A-Za-z0-9.]+)?"), "chr22_1024_A_C_b38"),
    VariantFormat.OPEN_TARGETS: (_pattern("_", "_"), "22_1024_A_C"),
    VariantFormat.OPEN_TARGETS_BIGQUERY: (_pattern(":", ":"), "22:1024:A:C"),
    VariantFormat.GNOMAD: (_pattern("-", "-"), "22-1024-A-C"),
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """Replaces `reference_bases` by `alternate_bases` at `position` (1-based, of the first reference base).

    Bases are upper-case ACGTN and may be empty. `name` and `info` take no part in comparison and hashing. Nothing
    here checks the reference bases against a genome. Raises ValueError for a position below 1 or other bases.
    """

    chromosome: str
    position: int
    reference_bases: str
    alternate_bases: str
    name: str = dataclasses.field(default="", compare=False)
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self):
        if self.position < 1:
            raise ValueError(
                f"variant position {self.position} on {self.chromosome}: expected 1 or more, since positions are "
                "1-based as in VCF; add 1 to 0-based positions"
            )
        for kind, bases in (("reference", self.reference_bases), ("alternate", self.alternate_bases)):
            if wrong := set(bases) - set("ACGTN"):
                raise ValueError(
                    f"{kind} bases {bases!r} of the variant at {self.chromosome}:{self.position} contain "
                    f"{''.join(sorted(wrong))!r}; expected only upper-case ACGTN, so spell the allele out in those"
                )

    @classmethod
    def from_str(cls, text: str, format: VariantFormat | str | None = VariantFormat.DEFAULT) -> "Variant":
        """Reads one form of `VariantFormat` or, with format=None, whichever fits; adds `chr` when absent."""
        formats = VariantFormat if format is None else (VariantFormat(format),)
        for known in formats:
            if match := _VARIANTS[known][0].fullmatch(text.strip()):
                chromosome, position, reference, alternate = match.groups()
                return cls(f"chr{chromosome}", int(position), reference, alternate)
        examples = ", ".join(f"{_VARIANTS[known][1]} ({known})" for known in formats)
        hint = "" if format is None else "; format=None tries all the known forms"
        raise ValueError(f"cannot read the variant {text!r}; expected the form {examples}{hint}")

    def __str__(self) -> str:
        return f"{self.chromosome}:{self.position}:{self.reference_bases}>{self.alternate_bases}"

    def as_truncated_str(self, max_length: int = 50) -> str:
        """As `str`, with alleles longer than `max_length` cut to their two ends and '...' between them."""
        half = max_length // 2

        def shorten(bases: str) -> str:
            return bases if len(bases) <= max_length else f"{bases[:half]}...{bases[len(bases) - half :]}"

        alleles = f"{shorten(self.reference_bases)}>{shorten(self.alternate_bases)}"
        return f"{self.chromosome}:{self.position}:{alleles}"

    @property
    def start(self) -> int:
        """0-based start of the reference bases."""
        return self.position - 1

    @property
    def end(self) -> int:
        """0-based end (not included) of the reference bases."""
        return self.start + len(self.reference_bases)

    @property
    def reference_interval(self) -> Interval:
        """Where the reference bases are, unstranded."""
        return Interval(self.chromosome, self.start, self.end)

    def reference_overlaps(self, interval: Interval) -> bool:
        """Whether the reference bases overlap `interval`."""
        return self.reference_interval.overlaps(interval)

    def alternate_overlaps(self, interval: Interval) -> bool:
        """Whether the alternate bases, laid out from the variant's start, overlap `interval`."""
        end = self.start + len(self.alternate_bases)
        return Interval(self.chromosome, self.start, end).overlaps(interval)

    @property
    def size_change(self) -> int:
        """Length of the alternate bases minus length of the reference bases."""
        return len(self.alternate_bases) - len(self.reference_bases)

    @property
    def is_snv(self) -> bool:
        """One base for one base."""
        return len(self.reference_bases) == len(self.alternate_bases) == 1

    @property
    def is_deletion(self) -> bool:
        """The sequence becomes shorter."""
        return self.size_change < 0

    @property
    def is_insertion(self) -> bool:
        """The sequence becomes longer."""
        return self.size_change > 0

    @property
    def is_indel(self) -> bool:
        """The length changes."""
        return self.size_change != 0

    @property
    def is_frameshift(self) -> bool:
        """The length changes by no multiple of 3."""
        return self.size_change % 3 != 0

    @property
    def is_structural(self) -> bool:
        """The length changes by 50 bp or more."""
        return abs(self.size_change) >= 50

    def split(self, anchor: int) -> tuple["Variant | None", "Variant | None"]:
        """The parts left and right of `anchor` (0-based); cuts both alleles, surplus bases stay on the right."""
        if anchor <= self.start:
            return None, self
        if anchor >= self.end:
            return self, None
        cut = anchor - self.start
        alleles = self.reference_bases, self.alternate_bases
        left, right = ([bases[part] for bases in alleles] for part in (slice(None, cut), slice(cut, None)))
        return (
            dataclasses.replace(self, reference_bases=left[0], alternate_bases=left[1]),
            dataclasses.replace(self, position=anchor + 1, reference_bases=right[0], alternate_bases=right[1]),
        )


def normalize_variant(variant: Variant, fetch: Callable[[Interval], str], *, parity: bool = False) -> Variant:
    """The same change, left-aligned and as short as it can be with one base left in each allele.

    `fetch(interval)` returns upper-case genome bases, 'N' beyond the chromosome's ends. Equal haplotypes get equal
    forms. SNVs and variants that change nothing are returned as they are. `parity=True` does as the reference
    implementation: the genome counts as a third allele when ends are trimmed, which keeps an insertion at the end
    of a repeat where it is, and the lexicographically smallest allele limits the trimming at the left.
    """
    start, alleles = variant.start, [variant.reference_bases, variant.alternate_bases]
    if variant.is_snv or alleles[0] == alleles[1]:
        return variant
    if parity:
        width = max(map(len, alleles))
        alleles.append(fetch(Interval(variant.chromosome, start, start + width)))
    block, left = "", start

    if not all(alleles) and start == 0:  # no base to the left: VCF's rule is to anchor on the right
        base = fetch(Interval(variant.chromosome, variant.end, variant.end + 1))
        alleles = [bases + base for bases in alleles]
    while True:
        if not all(alleles):
            start -= 1
            if start < left:
                left = max(0, left - _BLOCK)
                block = fetch(Interval(variant.chromosome, left, start + 1)) + block
            alleles = [block[start - left] + bases for bases in alleles]
        elif len({bases[-1] for bases in alleles}) == 1 and (start > 0 or min(map(len, alleles)) > 1):
            alleles = [bases[:-1] for bases in alleles]
        else:
            break

    smallest = min(alleles) if parity else min(alleles, key=len)
    prefix = 0
    while prefix < len(smallest) - 1 and len({bases[prefix] for bases in alleles}) == 1:
        prefix += 1
    return dataclasses.replace(
        variant,
        position=start + prefix + 1,
        reference_bases=alleles[0][prefix:],
        alternate_bases=alleles[1][prefix:],
    )
