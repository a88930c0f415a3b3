"""Bases of a genome for many places that lie close to each other, as those of a sorted file do."""

import collections
import functools

from ag_core.genome import Interval, Variant

from ag_data.fasta import Fasta

_SIZE = 1 << 14  # bp read at a time
_KEPT = 64  # blocks, so that a file that is nearly sorted is as fast


class Blocks:
    """A `Fasta` that reads in blocks and keeps some; `fasta` is the whole of it.

    A block is read when it is asked for twice in a row, so that places in no order cost no more than they would alone.
    """

    def __init__(self, fasta: Fasta):
        self.fasta = fasta
        self.find_chromosome = functools.lru_cache(maxsize=None)(fasta.find_chromosome)  # goes with the object
        self._blocks: collections.OrderedDict[tuple[str, int], str] = collections.OrderedDict()
        self._asked = ("", 0)

    def _block(self, chromosome: str, number: int) -> str | None:
        """A block that is kept or worth keeping."""
        key = chromosome, number
        if (kept := self._blocks.get(key)) is not None:
            return kept
        if self._asked != key:
            self._asked = key
            return None
        bases = self.fasta.fetch(Interval(chromosome, number * _SIZE, (number + 1) * _SIZE))
        self._blocks[key] = bases
        if len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return bases

    def bases(self, chromosome: str, start: int, end: int) -> str:
        """Upper-case bases [start, end), 'N' where nothing is known. Raises InputError as `Fasta.fetch` does."""
        number = start // _SIZE
        inside = 0 <= start < end <= (number + 1) * _SIZE and start < self.fasta.lengths.get(chromosome, 0)
        if inside and (block := self._block(chromosome, number)) is not None:
            return block[start - number * _SIZE : end - number * _SIZE]
        return self.fasta.fetch(Interval(chromosome, start, end))

    def fetch(self, interval: Interval) -> str:
        """As `bases`, of an unstranded interval."""
        return self.bases(interval.chromosome, interval.start, interval.end)

    def holds(self, variant: Variant, bases: str) -> bool:
        """Whether exactly `bases`, all of them known, are in the genome where the variant begins.

        False for an unknown chromosome; never raises for a place that the genome does not have.
        """
        known = variant.start < self.fasta.lengths.get(variant.chromosome, 0) and bases and "N" not in bases
        return bool(known) and self.bases(variant.chromosome, variant.start, variant.start + len(bases)) == bases
