"""Which bases a read counts at: its ends, the place where an enzyme cut, or a fragment of known length.

A read lies at [start, end), 0-based half-open, on '+' or '-' of the genome; `minus` tells which. Its 5' end is base
`start` on '+' and base `end - 1` on '-'.

Cut sites. The field moves the read's two edges (+4 on '+', -5 on '-': Buenrostro 2013, ENCODE, 10x) and then counts
at the 5' end of what results: base `start + shift[0]` on '+', base `end + shift[1] - 1` on '-'. Tn5 copies the 9 bases
[p, p + 9) to both sides of where it inserts, so the read to the right starts at p and the read to the left ends at
p + 9:

- (4, -5): bases p + 4 and p + 3. The two moved reads meet at the edge between them.
- (4, -4): base p + 4 twice, the middle of the 9. Only this one is the same on both strands, so that the track of the
  reverse complement is the reversed track.

DNase I cuts between two bases, without a copy: the read to the right starts at p, the read to the left ends at p.

- (0, 0): bases p and p - 1, on both sides of the cut.
- (0, 1): base p twice, the base right of the cut. It suits tracks whose values belong to the left edge of a base
  (`left_edge` in `ag_data.assays`).
"""

from collections.abc import Sequence

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Bool, Int

Bases = Int[np.ndarray, " read"]
Minus = Bool[np.ndarray, " read"]


def five_prime(start: Bases, end: Bases, minus: Minus) -> Bases:
    """The first base of each read."""
    return np.where(minus, end - 1, start)


def three_prime(start: Bases, end: Bases, minus: Minus) -> Bases:
    """The last base of each read, as far as it is aligned."""
    return np.where(minus, start, end - 1)


def cut_site(start: Bases, end: Bases, minus: Minus, shift: Sequence[int]) -> Bases:
    """The base that stands for the cut which made the 5' end of each read."""
    return np.where(minus, end + shift[1] - 1, start + shift[0])


def extend_reads(start: Bases, end: Bases, minus: Minus, length: int) -> tuple[Bases, Bases]:
    """Start and end of fragments of `length` bp that begin at the 5' ends; they may reach beyond the chromosome."""
    return np.where(minus, end - length, start), np.where(minus, end, start + length)


def check_shift(shift: object) -> tuple[int, int]:
    """The two numbers of a shift. Raises InputError for anything else."""
    if isinstance(shift, list | tuple) and len(shift) == 2 and all(type(move) is int for move in shift):
        return shift[0], shift[1]
    raise InputError(f"tn5_shift is {shift!r}; expected two whole numbers such as [4, -5]: for '+' and for '-' reads")
