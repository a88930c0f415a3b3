"""Reads of BAM and CRAM files as arrays: opened with checks, filtered, in pieces of bounded size."""

import array
import contextlib
import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pysam
from ag_core.errors import InputError
from jaxtyping import Bool, Int

from ag_data.files import check_file

# Bits of a read's flag (SAM specification, section 1.4).
PAIRED, PROPER, UNMAPPED, REVERSE, SECOND = 0x1, 0x2, 0x4, 0x10, 0x80
SKIPPED = {
    "unmapped": UNMAPPED,
    "secondary": 0x100,
    "supplementary": 0x800,
    "failed_quality": 0x200,
    "duplicate": 0x400,
}
LONGEST_PAIR = 2000  # bp; a longer pair is taken for two reads that do not belong together

_PIECE = 1 << 16
# All fields but names, bases, qualities and tags: so CRAM needs no reference.
_FIELDS = "required_fields=0x1fe"
_CIGAR = re.compile(r"(\d+)([A-Z=])")


Numbers = Int[np.ndarray, " read"]


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which reads count.

    - `skip_flags`: reads with any of these bits are left out.
    - `min_mapq`: least mapping quality.
    - `proper_pairs_only`: only reads that the aligner calls properly paired.
    - `mates`: "both", or of pairs only the "first" or the "second" (single reads always count).
    - `pairs`: a pair counts once, as what lies between its ends; nothing else counts, nor pairs over 2,000 bp.
    """

    skip_flags: int = sum(SKIPPED.values())
    min_mapq: int = 0
    proper_pairs_only: bool = False
    mates: str = "both"
    pairs: bool = False

    def reasons(self, flag: Numbers, mapq: Numbers, template: Numbers) -> dict[str, Bool[np.ndarray, " read"]]:
        """Reads to leave out, by reason; a read may have several."""
        skipped = {name: flag & bit & self.skip_flags != 0 for name, bit in SKIPPED.items()}
        skipped["other_flags"] = flag & self.skip_flags & ~sum(SKIPPED.values()) != 0
        return {**skipped, **self.reasons_but_flags(flag, mapq, template)}

    def reasons_but_flags(
        self, flag: Numbers, mapq: Numbers, template: Numbers
    ) -> dict[str, Bool[np.ndarray, " read"]]:
        """The same without `skip_flags`."""
        found = {}
        if self.min_mapq > 0:
            found["low_mapping_quality"] = mapq < self.min_mapq
        if self.proper_pairs_only or self.pairs:
            found["not_properly_paired"] = flag & PROPER == 0
        if self.mates != "both":
            second, paired = flag & SECOND != 0, flag & PAIRED != 0
            found["other_mate"] = second if self.mates == "first" else paired & ~second
        if self.pairs:
            found["other_mate"] = template <= 0
            found["pair_too_long"] = template > LONGEST_PAIR
        return found


class Reads(NamedTuple):
    """Reads that passed, in file order: [start, end) on the genome, 0-based, and what their flags say."""

    start: Numbers
    end: Numbers
    # On the '-' strand of the genome.
    minus: Bool[np.ndarray, " read"]
    # The second of two mates.
    second: Bool[np.ndarray, " read"]
    # Blocks of reads with introns or deletions: the read's number, start and end.
    gapped: Int[np.ndarray, "block 3"]


class ReadFile:
    """A coordinate-sorted BAM or CRAM file with its index.

    Raises InputError for a file that is missing, truncated, not sorted, or without an index.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        check_file(path, "BAM or CRAM file")
        try:
            # htslib writes what it thinks of a missing index to stderr, which the message here says better.
            with _quiet():
                self._file = pysam.AlignmentFile(str(path), "r", format_options=[_FIELDS])
            indexed = self._file.has_index()
            whole = not self._file.is_cram or _has_end(path)
        except (OSError, ValueError, AttributeError, NotImplementedError) as error:
            raise InputError(
                f"{path} is no BAM or CRAM file, or not a whole one ({error}); check the path, or download it again"
            ) from error
        if not (self._file.is_bam or self._file.is_cram):
            raise InputError(f"{path} is a SAM file; run `samtools sort -o reads.bam {path.name}`, then index it")
        if not whole:
            raise InputError(f"{path} is truncated: the block that ends a CRAM file is missing; download it again")
        order = self._file.header.to_dict().get("HD", {}).get("SO", "")
        if not indexed:
            steps = "`samtools index`"
            if order != "coordinate":
                steps = f"`samtools sort -o sorted{path.suffix}` (its header says {order or 'nothing'}), then {steps}"
            raise InputError(f"{path} has no index, which is needed to read it by place; run {steps}")
        self.chromosomes = dict(zip(self._file.references, self._file.lengths, strict=True))

    def fetch(
        self, chromosome: str, start: int, end: int, filters: Filters, *, blocks: bool = False
    ) -> Iterator[Reads]:
        """Reads that share a base with [start, end), wherever they begin, in pieces.

        `blocks`: also where reads with introns and deletions are aligned. With `filters.pairs` start and end are
        those of pairs. Raises InputError where the file is damaged.
        """
        length = self.chromosomes[chromosome]
        start, end = max(start, 0), min(end, length)
        if start >= end:
            return
        with self._explain(f"near {chromosome}:{start}"):
            records = self._file.fetch(chromosome, start, end)
            while True:
                cigars = _Cigars() if blocks else None
                numbers = _gather(itertools.islice(records, _PIECE), filters, cigars)
                if numbers is None:
                    return
                flag, first, last, mapq, template = numbers[:5]
                wrong = list(filters.reasons_but_flags(flag, mapq, template).values())
                kept = ~np.any(wrong, axis=0) if wrong else slice(None)
                flag, first, last = flag[kept], first[kept], last[kept]
                gapped = cigars.blocks(numbers[5][kept], first) if cigars is not None else np.zeros((0, 3), np.int64)
                if filters.pairs:
                    last = first + template[kept]
                yield Reads(first, last, flag & REVERSE != 0, flag & SECOND != 0, gapped)

    def count(self) -> list[list[int]]:
        """One pass over the whole file: rows of flag, mapping quality, kind of pair, reads, sum of template lengths.

        Kind of pair: 0 for a template length that is not positive, 1 for one of a pair, 2 for one too long.
        """
        totals: dict[tuple[int, int, int], list[int]] = {}
        with self._explain("in its middle"), pysam.AlignmentFile(str(self.path), "r", format_options=[_FIELDS]) as file:
            records = file.fetch(until_eof=True)
            while True:
                numbers = np.fromiter(_flags(itertools.islice(records, _PIECE)), np.int64).reshape(-1, 3)
                if not len(numbers):
                    return [[*key, *value] for key, value in sorted(totals.items())]
                kind = (numbers[:, 2] > 0) + (numbers[:, 2] > LONGEST_PAIR).astype(np.int64)
                keys, place = np.unique(np.column_stack([numbers[:, :2], kind]), axis=0, return_inverse=True)
                reads = np.bincount(place.ravel())
                lengths = np.bincount(place.ravel(), np.maximum(numbers[:, 2], 0))
                for key, number, length in zip(keys.tolist(), reads.tolist(), lengths.tolist(), strict=True):
                    total = totals.setdefault(tuple(key), [0, 0])
                    total[0] += number
                    total[1] += int(length)

    @contextlib.contextmanager
    def _explain(self, where: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            with contextlib.suppress(OSError, ValueError):
                self._file.close()  # which fails too; left alone, it would fail when the object goes away
            raise InputError(
                f"{self.path} cannot be read {where} ({error}); its index may belong to another file (run "
                "`samtools index` again), or the file is damaged"
            ) from error


def _has_end(path: pathlib.Path) -> bool:
    """Whether a CRAM file ends with the container that says so (CRAM specification, section 9)."""
    with path.open("rb") as file:
        file.seek(-min(38, path.stat().st_size), os.SEEK_END)
        return b"\xe0EOF" in file.read()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(level)


def _gather(
    records: Iterator[pysam.AlignedSegment], filters: Filters, cigars: "_Cigars | None"
) -> Int[np.ndarray, "column read"] | None:
    """Flag, start, end, mapping quality, template length and number of the CIGAR of aligned reads; None at the end.

    What is not needed is 0. One plain loop, since nothing else of pysam's is as fast; the rest is done on arrays.
    """
    skipped, more, seen = filters.skip_flags, filters.min_mapq > 0 or filters.pairs, False

    def numbers() -> Iterator[int]:
        nonlocal seen
        for record in records:
            seen = True
            flag = record.flag
            if flag & skipped:
                continue
            end = record.reference_end
            if end is None:
                continue
            yield flag
            yield record.reference_start
            yield end
            if more:
                yield record.mapping_quality
                yield record.template_length
            if cigars is not None:
                yield cigars[record.cigarstring or ""]

    found = np.fromiter(numbers(), np.int64)
    if not seen:
        return None
    width = 3 + 2 * more + (cigars is not None)
    columns = np.zeros((6, len(found) // width), np.int64)
    present = [0, 1, 2, *([3, 4] if more else []), *([5] if cigars is not None else [])]
    columns[present] = found.reshape(-1, width).T
    return columns


def _flags(records: Iterator[pysam.AlignedSegment]) -> Iterator[int]:
    for record in records:
        yield record.flag
        yield record.mapping_quality
        yield record.template_length


def aligned_blocks(cigar: str) -> tuple[tuple[int, int], ...]:
    """Where the read has bases on the genome, from the read's start: between introns (N) and deletions (D)."""
    blocks: list[tuple[int, int]] = []
    position = first = 0
    for length, operation in _CIGAR.findall(cigar):
        if operation in "M=X":
            position += int(length)
        elif operation in "DN":
            if position > first:
                blocks.append((first, position))
            position = first = position + int(length)
    if position > first:
        blocks.append((first, position))
    return tuple(blocks)


class _Cigars(dict[str, int]):
    """Numbers of CIGARs: 0 for all without introns and deletions, others stand for the blocks between these."""

    def __init__(self):
        # Blocks of all CIGARs one after the other, and where those of each number begin; 0 has none.
        self._first, self._last, self._edges = (array.array("q", start) for start in ([], [], [0, 0]))

    def __missing__(self, cigar: str) -> int:
        number = 0
        if "N" in cigar or "D" in cigar:
            for first, last in aligned_blocks(cigar):
                self._first.append(first)
                self._last.append(last)
            self._edges.append(len(self._first))
            number = len(self._edges) - 2
        if len(cigar) < 64:  # longer ones hardly come twice
            self[cigar] = number
        return number

    def blocks(self, numbers: Numbers, start: Numbers) -> Int[np.ndarray, "block 3"]:
        """Read, start and end of each block of the reads with gaps."""
        edges, first, last = (np.array(part, np.int64) for part in (self._edges, self._first, self._last))
        rows = np.flatnonzero(numbers)
        low = edges[numbers[rows]]
        count = edges[numbers[rows] + 1] - low
        read = np.repeat(rows, count)
        block = np.repeat(low, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.stack([read, start[read] + first[block], start[read] + last[block]], axis=1)
