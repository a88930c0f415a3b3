"""The changes that mutagenesis tries: every other base, deletions, stretches shuffled. Source: spec/scoring.md 3.2."""

import enum
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant

BASES = "ACGT"
# Draws of another order, until a stretch is given up as one that has none (all its bases are the same).
_TRIES = 20


class Kind(enum.StrEnum):
    """What is done to the bases."""

    SUBSTITUTION = "substitution"
    DELETION = "deletion"
    SHUFFLE = "shuffle"


class Mutation(NamedTuple):
    """A change: `row` is the base, from the start of the span, at which it begins, `column` tells which of several."""

    variant: Variant
    row: int
    column: int


def ism_variants(interval: Interval, sequence: str, vocabulary: str = BASES, skip_n: bool = False) -> list[Variant]:
    """All SNVs of `interval`, by position and in the order of `vocabulary`; of an unknown base four, or none.

    Raises ValueError when `sequence` (the bases of the interval, forward strand) has another length.
    """
    return [mutation.variant for mutation in substitutions(interval, sequence, vocabulary, skip_n)]


def substitutions(
    interval: Interval, sequence: str, vocabulary: str = BASES, skip_n: bool = False
) -> Iterator[Mutation]:
    """As `ism_variants`; `column` is the place of the new base in `vocabulary`."""
    _check(interval, sequence)
    for row, base in enumerate(sequence):
        if base not in vocabulary and skip_n:
            continue
        for column, other in enumerate(vocabulary):
            if other != base:
                yield Mutation(Variant(interval.chromosome, interval.start + row + 1, base, other), row, column)


def deletions(interval: Interval, sequence: str, size: int, before: str, step: int = 1) -> Iterator[Mutation]:
    """Stretches of `size` bp taken out, one every `step` bp. `before` is the base left of the interval, the anchor."""
    _check(interval, sequence)
    _check_size(interval, size, step)
    bases = before + sequence
    for row in range(0, interval.width - size + 1, step):
        ref = bases[row : row + size + 1]
        yield Mutation(Variant(interval.chromosome, interval.start + row, ref, ref[0]), row, 0)


def shuffles(
    interval: Interval, sequence: str, size: int, repeats: int, step: int = 1, seed: int = 0
) -> Iterator[Mutation]:
    """Stretches of `size` bp in another order, `repeats` times each; the same for the same seed and place.

    A stretch of one base only, which has no other order, is left out.
    """
    _check(interval, sequence)
    _check_size(interval, size, step)
    for row in range(0, interval.width - size + 1, step):
        ref = sequence[row : row + size]
        random = np.random.default_rng([seed, interval.start + row])
        for column in range(repeats):
            alt = _reorder(ref, random)
            if alt is not None:
                yield Mutation(Variant(interval.chromosome, interval.start + row + 1, ref, alt), row, column)


def _reorder(bases: str, random: np.random.Generator) -> str | None:
    letters: Sequence[str] = list(bases)
    if len(set(letters)) < 2:
        return None
    for _ in range(_TRIES):
        other = "".join(random.permutation(letters))
        if other != bases:
            return other
    # Nearly all the same: change places with the first that differs.
    place = next(i for i, base in enumerate(bases) if base != bases[0])
    return bases[place] + bases[1:place] + bases[0] + bases[place + 1 :]


def _check(interval: Interval, sequence: str) -> None:
    if len(sequence) != interval.width:
        raise ValueError(f"{interval} has {interval.width} bp, the sequence {len(sequence)}; expected as many")


def _check_size(interval: Interval, size: int, step: int) -> None:
    if not 1 <= size <= interval.width or step < 1:
        raise InputError(
            f"stretches of {size} bp every {step} bp in a span of {interval.width} bp; expected a size from 1 to the "
            "span, and a step of at least 1"
        )
