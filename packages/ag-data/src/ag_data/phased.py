"""Phased blocks of one sample of a VCF: which alternate alleles are known to sit on one copy of a chromosome.

- Alleles of a phased genotype (`0|1`) belong to the record's phase set (PS; records without PS are one set). Those
  of a genotype with one allele only (`1/1`, or `1` on a haploid chromosome) are phased by nature; they go to the phase
  set of the nearest phased record, the left one of equals.
- A phase set that reaches over more than `max_span` bp is cut at its widest gap (of equals the one nearest to the
  middle), and the parts again, until each fits. Cuts are the same for all haplotypes.
- A haplotype with two alleles that overlap (`ag_data.personal.find_overlap`) is refused for that block.

Every copy of an alternate allele that the sample carries is in exactly one block, or refused by itself with a status.
"""

import bisect
import collections
import dataclasses
import difflib
import enum
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pysam
from ag_core.errors import InputError

from ag_data.files import Compression, check_file
from ag_data.personal import find_overlap
from ag_data.variants import Call, Status


class Phase(enum.StrEnum):
    """What became of a haplotype of a block, or of a copy of an allele that is in none."""

    PHASED = "phased"  # fit for scoring
    OVERLAP = "overlap"  # two alleles of the haplotype overlap
    UNPHASED = "unphased"  # the genotype does not say which copy has which allele
    NO_GENOTYPE = "no_genotype"  # the sample has no genotype there, or a missing allele


@dataclasses.dataclass(frozen=True, slots=True)
class Genotype:
    """What a sample has at one record.

    - `alleles`: 0 for REF, n for the n-th alternate allele, None where it is missing; one for each haplotype.
    - `phase_set`: None for genotypes that are not phased, '' where they are but the record names no set.
    """

    alleles: tuple[int | None, ...]
    phase_set: str | None


@dataclasses.dataclass(frozen=True)
class Block:
    """The alternate alleles of one haplotype in one block, in order; `phase_set` is '' where the file names none.

    - `number`: counts blocks of the file from 0; haplotypes of one block share it. `haplotype` counts from 1.
    - `left_out`: alleles between its first and last base that it may have, but that were refused by themselves.
    - `status`: `phased`, or why it is not to be scored, with a `detail` for people.
    """

    number: int
    haplotype: int
    phase_set: str
    calls: tuple[Call, ...]
    left_out: int = 0
    status: Phase = Phase.PHASED
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Refused:
    """A copy of an allele that is in no block. `haplotype` is 0 where it is not known."""

    call: Call
    haplotype: int
    status: Status | Phase
    detail: str = ""


def read_genotypes(path: str | os.PathLike[str], sample: str | None = None) -> Iterator[Genotype]:
    """One sample's genotype for each record of a VCF (plain or bgzip) or BCF file; `sample` may be left out for one.

    Raises InputError when the file cannot be read, has no such sample, or no genotypes.
    """
    path = pathlib.Path(path)
    if check_file(path, "VCF file") is Compression.GZIP:
        raise InputError(f"VCF file {path} is plain gzip; genotypes need bgzip: gunzip -c {path} | bgzip > new.vcf.gz")
    verbosity = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(os.fspath(path)) as file:
            known = list(file.header.samples)
            name = _choose(path, known, sample)
            if "GT" not in file.header.formats:
                raise InputError(f"{path} has no genotypes (FORMAT GT), so no haplotypes; give a file of phased calls")
            file.subset_samples([name])
            for number, record in enumerate(file):
                yield _genotype(record, f"{path}: record {number + 1} ({record.chrom}:{record.pos})")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: genotypes cannot be read ({error}); check the file: bcftools view") from error
    finally:
        pysam.set_verbosity(verbosity)


def phased_blocks(
    calls: Iterable[Call], genotypes: Iterable[Genotype], max_span: int
) -> Iterator[tuple[list[Block], list[Refused]]]:
    """For each chromosome its blocks (by place) and what was refused (in order), from calls in the file's order.

    `calls` are those of all records (`read_variants`, checked or repaired), `genotypes` one for each record. Alleles
    whose call is not `scored` are refused with its status. Raises InputError when a chromosome's records are not
    together and sorted, for a genotype of an allele that the record does not have, and for `max_span` below 1.
    """
    if max_span < 1:
        raise InputError(f"max_span must be at least 1 bp, got {max_span}")
    records = (list(group) for _, group in itertools.groupby(calls, key=lambda call: call.record))
    finished: set[str] = set()
    number = 0
    pairs = zip(records, genotypes, strict=True)
    for chromosome, group in itertools.groupby(pairs, key=lambda pair: pair[0][0].chromosome):
        if chromosome in finished:
            raise InputError(f"records of {chromosome} are not together; sort the file: bcftools sort")
        finished.add(chromosome)
        blocks, refused = _chromosome(group, max_span, number)
        number = max((block.number for block in blocks), default=number - 1) + 1
        yield blocks, refused


@dataclasses.dataclass(frozen=True, slots=True)
class _Copy:
    """An allele on a haplotype; `start`, `end` (0-based) are those of its variant."""

    start: int
    end: int
    haplotype: int
    call: Call


def _choose(path: pathlib.Path, known: Sequence[str], sample: str | None) -> str:
    if not known:
        raise InputError(f"{path} has no samples, so no haplotypes; give a file with genotypes")
    if sample is None and len(known) == 1:
        return known[0]
    if sample is not None and sample in known:
        return sample
    close = difflib.get_close_matches(sample or "", known, n=3) or known[:5]
    what = "several samples" if sample is None else f"no sample {sample!r}"
    raise InputError(f"{path} has {what}; choose one with --sample, such as {', '.join(close)} ({len(known)} in all)")


def _genotype(record: pysam.VariantRecord, where: str) -> Genotype:
    if not len(record.samples):
        raise InputError(f"{where}: there is no genotype; expected one for each sample of the header")
    entry = record.samples[0]
    alleles = tuple(entry.allele_indices or ()) if "GT" in record.format else ()
    if None in alleles:  # what htslib makes of '.', and of an allele that the record does not have
        cells = str(record).rstrip("\n").split("\t")
        text = dict(zip(cells[8].split(":"), cells[9].split(":") if len(cells) > 9 else (), strict=False)).get("GT", "")
        if any(allele.isdigit() and int(allele) > len(record.alts or ()) for allele in re.split("[|/]", text)):
            raise InputError(f"{where}: genotype {text} names an allele that the record does not have; mend the record")
    named = entry["PS"] if "PS" in record.format else None
    if len(alleles) > 1 and entry.phased:
        return Genotype(alleles, "" if named in (None, (None,), ".") else str(named))
    return Genotype(alleles, None)


def _chromosome(
    records: Iterable[tuple[list[Call], Genotype]], max_span: int, number: int
) -> tuple[list[Block], list[Refused]]:
    sets: dict[str, list[_Copy]] = collections.defaultdict(list)
    common: list[_Copy] = []  # phased by nature
    refused: list[Refused] = []
    before = 0
    for calls, genotype in records:
        if calls[0].position < before:
            raise InputError(
                f"{calls[0]} comes after position {before} of {calls[0].chromosome}; sort the file: bcftools sort"
            )
        before = calls[0].position
        phased, bad = _copies(calls, genotype)
        refused += bad
        if genotype.phase_set is None or len(set(genotype.alleles)) == 1:
            common += phased
        elif phased:
            sets[genotype.phase_set] += phased
    _join(sets, common)
    parts = [(name, part) for name, copies in sets.items() for part in _cut(copies, max_span)]
    parts.sort(key=lambda part: part[1][0].start)
    # A '*' is no allele that is missing: the deletion it stands for has a record of its own.
    doubtful = [one for one in refused if one.status is not Status.STAR]
    places = [[one.call.position - 1 for one in doubtful if one.haplotype in (0, n)] for n in range(_ploidy(sets))]
    blocks = []
    for offset, (name, part) in enumerate(parts):
        for haplotype in sorted({copy.haplotype for copy in part}):
            mine = tuple(copy for copy in part if copy.haplotype == haplotype)
            inside = [bisect.bisect_left(places[haplotype], copy) for copy in (mine[0].start, max(c.end for c in mine))]
            calls = tuple(copy.call for copy in mine)
            status, detail = _judge(calls)
            blocks.append(Block(number + offset, haplotype, name, calls, inside[1] - inside[0], status, detail))
    return blocks, refused


def _ploidy(sets: dict[str, list[_Copy]]) -> int:
    return 1 + max((copy.haplotype for copies in sets.values() for copy in copies), default=0)


def _copies(calls: Sequence[Call], genotype: Genotype) -> tuple[list[_Copy], list[Refused]]:
    """The copies of a record's alternate alleles that can go into a block, and the others."""
    alleles, same = genotype.alleles, len(set(genotype.alleles)) == 1
    if not alleles or set(alleles) == {None}:
        return [], [Refused(calls[0], 0, Phase.NO_GENOTYPE, "the sample has no genotype here")]
    known = genotype.phase_set is not None or same
    copies, refused = [], []
    for place, allele in enumerate(alleles, start=1):
        haplotype = place if known else 0
        if allele is None:
            refused.append(Refused(calls[0], haplotype, Phase.NO_GENOTYPE, "one allele of the genotype is missing"))
            continue
        if allele == 0:
            continue
        call = calls[allele - 1]
        if call.status is not Status.SCORED or call.variant is None:
            refused.append(Refused(call, haplotype, call.status, call.detail))
        elif not known:
            shown = "/".join("." if one is None else str(one) for one in alleles)
            refused.append(Refused(call, 0, Phase.UNPHASED, f"genotype {shown}: no telling which copy has the allele"))
        else:
            copies.append(_Copy(call.variant.start, call.variant.end, haplotype, call))
    return copies, refused


def _join(sets: dict[str, list[_Copy]], common: Sequence[_Copy]) -> None:
    """Puts alleles that are phased by nature into the phase set of the nearest phased one."""
    anchors = sorted((copy.start, name) for name, copies in sets.items() for copy in copies)
    starts = [start for start, _ in anchors]
    for copy in common:
        if not anchors:
            sets[""].append(copy)
            continue
        right = bisect.bisect_left(starts, copy.start)
        near = [anchors[at] for at in (right - 1, right) if 0 <= at < len(anchors)]
        _, name = min(near, key=lambda anchor: abs(anchor[0] - copy.start))
        sets[name].append(copy)


def _cut(copies: Sequence[_Copy], max_span: int) -> list[list[_Copy]]:
    """Parts of at most `max_span` bp, as far as single alleles allow; copies at one place stay together."""
    copies = sorted(copies, key=lambda copy: (copy.start, copy.end, copy.haplotype))
    starts = np.array([copy.start for copy in copies], np.int64)
    reach = np.maximum.accumulate([copy.end for copy in copies])  # where all so far have ended
    gaps = starts[1:] - reach[:-1]
    parts, waiting = [], [(0, len(copies))]
    while waiting:
        first, end = waiting.pop()
        inner = gaps[first : end - 1]
        if reach[end - 1] - starts[first] <= max_span or not len(inner) or inner.max() < 0:
            parts.append(copies[first:end])
            continue
        widest = np.flatnonzero(inner == inner.max())
        at = first + 1 + int(widest[np.argmin(np.abs(widest + 1 - (end - first) / 2))])
        waiting += [(first, at), (at, end)]
    return parts


def _judge(calls: Sequence[Call]) -> tuple[Phase, str]:
    found = find_overlap(call.variant for call in calls if call.variant is not None)
    if found is None:
        return Phase.PHASED, ""
    one, other = (variant.as_truncated_str() for variant in found)
    return Phase.OVERLAP, f"{one} and {other} overlap, so one haplotype cannot have both"
