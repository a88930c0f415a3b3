"""A genome in which one allele stands, with coordinates of its own: mutating an ALT background needs it.

Left of the variant, places are those of REF; right of it they have moved by the change of length. Annotations move
along (`Annotation.altered` and its kin), so that exons stay on their bases.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement
from jaxtyping import Int

from ag_data.fasta import Fasta
from ag_data.personal import trim


class Place(NamedTuple):
    """Where a base of the altered genome is in REF (0-based); `inserted` counts, from 1, bases that REF lacks there.

    An inserted base has the place of the last base of REF left of it.
    """

    position: int
    inserted: int


class AlteredGenome:
    """`fasta` with ALT of `variant` in place of REF; used like a `Fasta` where bases are read.

    `path` and what digests are made of are those of the file, without the variant.

    Raises InputError when REF of the variant is not what the genome has, or its chromosome is unknown.
    """

    def __init__(self, fasta: Fasta, variant: Variant):
        name = fasta.find_chromosome(variant.chromosome) or variant.chromosome
        there = fasta.fetch(Interval(name, variant.start, variant.end)) if variant.reference_bases else ""
        if there != variant.reference_bases:
            raise InputError(
                f"{variant}: the genome has {there or 'nothing'} there, not {variant.reference_bases}; check position, "
                "assembly and the order of the alleles"
            )
        self.fasta, self.variant = fasta, dataclasses.replace(variant, chromosome=name)
        self.small = trim(self.variant)
        self.lengths = {**fasta.lengths, name: fasta.lengths[name] + variant.size_change}
        self.partial, self.path = fasta.partial, fasta.path

        self.find_chromosome, self.pieces, self.read_record = fasta.find_chromosome, fasta.pieces, fasta.read_record

    def fetch(self, interval: Interval) -> str:
        """Bases over `interval` of the altered genome; otherwise as `Fasta.fetch`."""
        elsewhere = self.find_chromosome(interval.chromosome) != self.small.chromosome
        if elsewhere or interval.end < 0:  # which is refused
            return self.fasta.fetch(interval)
        small, change = self.small, self.variant.size_change
        left = interval.start, min(interval.end, small.start)
        inside = slice(max(interval.start - small.start, 0), max(interval.end - small.start, 0))
        first = small.start + len(small.alternate_bases)
        right = max(interval.start, first) - change, interval.end - change
        whole = self._read(*left) + small.alternate_bases[inside] + self._read(*right)
        return reverse_complement(whole) if interval.negative_strand else whole

    def _read(self, start: int, end: int) -> str:
        """Bases of REF, N also where a part lies wholly off the chromosome."""
        if start >= end:
            return ""
        length = self.fasta.lengths[self.small.chromosome]
        first, last = (min(max(edge, 0), length) for edge in (start, end))
        if first == last:
            return "N" * (end - start)
        known = self.fasta.fetch(Interval(self.small.chromosome, first, last))
        return "N" * (first - start) + known + "N" * (end - last)

    def starts(self, positions: Int[np.ndarray, " place"]) -> Int[np.ndarray, " place"]:
        """Where bases of REF (0-based) are; of what is deleted, the next base that is left."""
        small, change = self.small, self.variant.size_change
        inside = small.start + np.minimum(positions - small.start, len(small.alternate_bases))
        moved = np.where(positions >= small.end, positions + change, inside)
        return np.where(positions < small.start, positions, moved)

    def ends(self, positions: Int[np.ndarray, " place"]) -> Int[np.ndarray, " place"]:
        """Where half-open ends of REF are: behind the base before them, so that an end does not take in insertions."""
        return self.starts(positions - 1) + 1

    def place(self, position: int) -> Place:
        """Where a base of the altered genome (0-based) is in REF."""
        small = self.small
        behind = position - small.start
        if behind < 0:
            return Place(position, 0)
        if behind >= len(small.alternate_bases):
            return Place(position - self.variant.size_change, 0)
        shared = len(small.reference_bases)
        if behind < shared:
            return Place(position, 0)
        return Place(small.end - 1, behind - shared + 1)

    def over(self, interval: Interval) -> Interval:
        """The stretch of the altered genome that stands for `interval` of REF, insertions inside it included."""
        start, end = (int(self.starts(np.array(edge))) for edge in (interval.start, interval.end))
        return dataclasses.replace(interval, start=start, end=end)
