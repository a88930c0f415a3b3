"""Haplotypes as sequence: several variants put into the genome at once, and where each base is in REF.

As for one variant (spec/scoring.md 1.6), haplotype and reference share the window's left end in genome coordinates:
insertions push the right flank out, deletions pull further bases in. Of the bases of a variant, the first
min(len(REF), len(ALT)) of either allele stand for each other, and the longer allele has the rest for itself (1.9).
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement
from jaxtyping import Int

# What `reference_positions` says of a base that REF does not have.
INSERTED = -1
# The same, while places left of the chromosome may still be -1.
_NOWHERE = -(1 << 62)


def parse_variants(text: str) -> list[Variant]:
    """The variants that an attribute names, as `str(variant)` separated by spaces, on chromosomes of any name."""
    variants = []
    for one in text.split():
        chromosome, position, alleles = one.rsplit(":", 2)
        ref, _, alt = alleles.partition(">")
        variants.append(Variant(chromosome, int(position), ref, alt))
    return variants


def trim(variant: Variant) -> Variant:
    """Without the bases that both alleles share at the left and, where the length stays the same, at the right."""
    ref, alt = variant.reference_bases, variant.alternate_bases
    left, shorter = 0, min(len(ref), len(alt))
    while left < shorter and ref[left] == alt[left]:
        left += 1
    right = 0
    while len(ref) == len(alt) and right < len(ref) - left and ref[-1 - right] == alt[-1 - right]:
        right += 1
    return dataclasses.replace(
        variant,
        position=variant.position + left,
        reference_bases=ref[left : len(ref) - right],
        alternate_bases=alt[left : len(alt) - right],
    )


def find_overlap(variants: Iterable[Variant]) -> tuple[Variant, Variant] | None:
    """Two variants of one chromosome that one haplotype cannot have both; None when there are none.

    Shared bases at the left of alleles (anchors) do not count, so an insertion may follow an SNV of its anchor. Two
    insertions at one place have no order, so they overlap.
    """
    last: tuple[Variant, Variant] | None = None  # the variant that reaches furthest: trimmed, and as given
    for small, variant in _in_order(variants):
        if last is not None:
            both_insert = small.start == last[0].start and not (small.reference_bases or last[0].reference_bases)
            if small.start < last[0].end or both_insert:
                return last[1], variant
        if last is None or small.end >= last[0].end:
            last = small, variant
    return None


def personal_sequence(
    interval: Interval, variants: Iterable[Variant], fetch: Callable[[Interval], str]
) -> tuple[str, Int[np.ndarray, " base"]]:
    """Bases of a haplotype over `interval` (0-based half-open), `interval.width` of them, and their places in REF.

    `fetch(interval)` returns upper-case bases, 'N' beyond the chromosome's ends. The places are those of
    `reference_positions`. For strand '-' the sequence is reverse-complemented and the places are reversed with it.
    Variants on other chromosomes and outside the interval have no effect; of one across its left end only the part
    inside applies. Raises InputError for variants that overlap.
    """
    pieces, positions = [], reference_positions(interval, variants := list(variants))
    reach = interval.width + sum(max(0, -variant.size_change) for variant in variants)
    genome = fetch(Interval(interval.chromosome, interval.start, interval.start + reach))
    cursor = interval.start
    for part in _parts(interval, variants):
        if part.start >= interval.start + reach:
            break
        pieces += [genome[cursor - interval.start : part.start - interval.start], part.alternate_bases]
        cursor = part.end
    bases = "".join([*pieces, genome[cursor - interval.start :]])[: interval.width]
    return (reverse_complement(bases), positions[::-1]) if interval.negative_strand else (bases, positions)


def reference_positions(interval: Interval, variants: Iterable[Variant]) -> Int[np.ndarray, " base"]:
    """For each base of a haplotype over `interval`, in the forward frame: its place in the genome, 0-based.

    -1 marks inserted bases; places that were deleted do not occur. Where an interval hangs off the chromosome's start,
    places count down from -2. Raises InputError for variants that overlap.
    """
    pieces, cursor, length = [], interval.start, 0
    for part in _parts(interval, variants):
        if length + part.start - cursor >= interval.width:
            break
        shared = min(len(part.reference_bases), len(part.alternate_bases))
        pieces.append(np.arange(cursor, part.start + shared))
        pieces.append(np.full(len(part.alternate_bases) - shared, _NOWHERE))
        length += part.start - cursor + len(part.alternate_bases)
        cursor = part.end
    pieces.append(np.arange(cursor, cursor + max(0, interval.width - length)))
    places = np.concatenate(pieces).astype(np.int64)[: interval.width]
    places[places < 0] -= 1
    places[places == _NOWHERE - 1] = INSERTED
    return places


def merge(
    variants: Sequence[Variant], fetch: Callable[[Interval], str], span: tuple[int, int] | None = None
) -> Variant:
    """One variant that does what all `variants` (of one chromosome) do, from the first one's start to the last end.

    `span` (0-based half-open) is what it replaces, by default no more than needed. Raises InputError for variants
    that overlap, lie on several chromosomes or reach beyond the span, and where there are none.
    """
    chromosomes = {variant.chromosome for variant in variants}
    if len(chromosomes) != 1:
        raise InputError(
            f"a haplotype is on one chromosome, got variants on {', '.join(sorted(chromosomes)) or 'none'}; merge "
            "those of each chromosome for themselves"
        )
    (chromosome,) = chromosomes
    needed = min(variant.start for variant in variants), max(variant.end for variant in variants)
    start, end = needed if span is None else span
    if needed[0] < start or needed[1] > end:
        raise InputError(
            f"the variants reach from {needed[0]} to {needed[1]} on {chromosome}, beyond the span {start}-{end} "
            "(0-based) that was to hold them"
        )
    if len(variants) == 1 and (start, end) == needed:
        return variants[0]
    place = Interval(chromosome, start, end)
    ref = list(_known(fetch(place)))
    for variant in variants:
        ref[variant.start - start : variant.end - start] = variant.reference_bases
    whole = Interval(chromosome, start, end + sum(variant.size_change for variant in variants))
    alt, _ = personal_sequence(whole, variants, lambda wanted: _known(fetch(wanted)))
    return Variant(chromosome, start + 1, "".join(ref), alt)


def _known(bases: str) -> str:
    """Letters that are no bases mean nothing to a model."""
    return re.sub("[^ACGT]", "N", bases)


def _in_order(variants: Iterable[Variant]) -> list[tuple[Variant, Variant]]:
    """(trimmed, as given) by place; without those that change nothing."""
    pairs = [(trim(variant), variant) for variant in variants]
    kept = [pair for pair in pairs if pair[0].reference_bases or pair[0].alternate_bases]
    return sorted(kept, key=lambda pair: (pair[0].start, pair[0].end))


def _parts(interval: Interval, variants: Iterable[Variant]) -> Iterator[Variant]:
    """What applies inside an interval, trimmed and in order; deletions may pull in more than lies there now."""
    here = [variant for variant in variants if variant.chromosome == interval.chromosome]
    if found := find_overlap(here):
        first, second = (variant.as_truncated_str() for variant in found)
        raise InputError(f"{first} and {second} overlap, so one haplotype cannot have both; leave one of them out")
    for small, given in _in_order(here):
        before = given.end < interval.start or (given.end == interval.start and given.reference_bases)
        _, part = small.split(interval.start)
        if part is not None and not before:
            yield part
