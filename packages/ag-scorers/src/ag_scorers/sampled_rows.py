"""Random rows of an output, of whatever format: what readers hand to `agenome score verify`."""

import dataclasses
import enum
import itertools
import math
import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Int

T = TypeVar("T")


class Kind(enum.Enum):
    """What a row is, and so what it is to be compared with."""

    TABLE = "row of a table"  # as `ag_scorers.tidy` makes it
    CELL = "cell of an array"  # the same, but NaN where a table has no row
    ENTRY = "entry of a VCF's AG"  # the strongest of a set of tracks, in few digits


@dataclasses.dataclass(frozen=True)
class SampledRow:
    """A row of an output.

    - `values`: columns named as in `ag_scorers.tidy`; without `scorer` among them it tells the status alone.
    - `place`: the same for all rows of one allele.
    """

    values: Mapping[str, Any]
    place: Hashable

    @property
    def chromosome(self) -> str:
        """CHROM of the input."""
        return self.values["chromosome"]

    @property
    def position(self) -> int:
        """POS of the input."""
        return self.values["position"]

    @property
    def reference(self) -> str:
        """REF of the input."""
        return self.values["reference"] or "."

    @property
    def alternate(self) -> str:
        """ALT of the input."""
        return self.values["alternate"] or "."

    @property
    def status(self) -> str:
        """What became of the allele."""
        return self.values["status"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows of one file, in its order, and its provenance (`ag_scorers.digests`)."""

    made_by: Mapping[str, str]
    kind: Kind
    rows: list[SampledRow]


def choose_rows(total: int, count: int, seed: int) -> Int[np.ndarray, " row"]:
    """Numbers of `count` random rows of `total`, ascending; all of them if there are no more."""
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(total, min(count, total), replace=False, shuffle=False))


def split_rows(rows: Int[np.ndarray, " row"], sizes: Sequence[int]) -> list[Int[np.ndarray, " _"]]:
    """Ascending numbers of rows of several parts, one after the other, as numbers within each part."""
    ends = np.cumsum(np.array(sizes, np.int64))
    parts = np.split(rows, np.searchsorted(rows, ends[:-1]))
    return [part - start for part, start in zip(parts, ends - sizes, strict=True)]


def reservoir(stream: Iterable[T], count: int, seed: int) -> list[T]:
    """`count` random ones of a stream of unknown length, in its order, holding no more than these in memory.

    Li's algorithm L (1994): it draws how many to pass over, not one number for each.
    """
    draw, rest = random.Random(seed), iter(stream)
    kept = list(enumerate(itertools.islice(rest, count)))
    if len(kept) < count:
        return [one for _, one in kept]
    at, weight = count - 1, 1.0
    while True:
        weight *= math.exp(math.log(1 - draw.random()) / count)
        skipped = math.floor(math.log(1 - draw.random()) / math.log1p(-weight))
        found = list(itertools.islice(rest, skipped, skipped + 1))
        if not found:  # the end
            return [one for _, one in sorted(kept, key=lambda pair: pair[0])]
        at += skipped + 1
        kept[draw.randrange(count)] = (at, found[0])
