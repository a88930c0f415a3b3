"""Which rows of a long array are at hand, when only some of them were computed."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Int

NOWHERE = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """Rows of an array of `length` rows, in the order in which a shorter array holds them.

    - `rows`: the row at each place of the short array, `NOWHERE` where that place holds nothing of use (padding, and
      rows that occur a second time). Rows that follow each other in the long array within a stretch that was asked
      for do so here.
    """

    length: int
    rows: Int[np.ndarray, " place"]

    @classmethod
    def whole(cls, length: int) -> "Layout":
        """All rows, each in its own place."""
        return cls(length, np.arange(length))

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether every row is in its own place."""
        return self.size == self.length and bool((self.rows == np.arange(self.length)).all())

    @functools.cached_property
    def _order(self) -> Int[np.ndarray, " place"]:
        return np.argsort(self.rows, kind="stable")

    def find(self, rows: Int[Array | np.ndarray, "*any"]) -> Int[np.ndarray, "*any"]:
        """Where `rows` of the long array are; `NOWHERE` for those that are not there."""
        rows = np.asarray(rows)
        found = np.searchsorted(self.rows, rows, sorter=self._order)
        places = self._order[np.minimum(found, self.size - 1)]
        return np.where(self.rows[places] == rows, places, NOWHERE)

    def places(self, rows: Int[Array | np.ndarray, "*any"]) -> Int[np.ndarray, "*any"]:
        """As `find`. Raises ValueError for a row that is not there."""
        places = self.find(rows)
        if missing := np.asarray(rows)[places == NOWHERE].ravel().tolist():
            raise ValueError(f"row {missing[0]} of {self.length} is not in the layout; the spans did not declare it")
        return places

    def take(self, mask: Array | np.ndarray, fill: object = 0) -> np.ndarray:
        """What the long array `mask` [row, ...] holds at each place; `fill` where nothing is."""
        taken = np.asarray(mask)[self.rows]
        taken[self.rows == NOWHERE] = fill
        return taken


def merge(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Sorted, disjoint [start, end) that cover the same rows of [0, length); empty spans vanish."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
