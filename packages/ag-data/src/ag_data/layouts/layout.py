"""What all layouts share: a target is asked for by an interval, and comes as the model sees it.

On strand '-' a target is what the head's `reverse_complement` turns into the target of the same stretch on '+'
(spec/model.md 6.1). Places that a blacklist names, that lie beyond the chromosome or were not imported, count as not
measured. Where no store has a modality, its arrays have their usual shapes and hold nothing that was measured, so that
one program serves every batch.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Int, Shaped

from ag_data.blacklist import Blacklist
from ag_data.layouts.slots import Part, find_partners

Arrays = Mapping[str, np.ndarray]
# (shape, dtype) of each array of a target, without the batch.
Shapes = dict[str, tuple[tuple[int, ...], np.dtype]]


class AbstractLayout(abc.ABC):
    """Reads the target of one modality. Implementations are final; threads may share them.

    `tracks` is the model's table for this organism, `parts` are the stores' tracks in it, `resolution` is that of the
    finest target in bp, `options` are those of a layout. Raises InputError for what cannot be brought together.
    """

    @abc.abstractmethod
    def shapes(self, width: int) -> Shapes:
        """What a target of a window of `width` bp consists of. Raises InputError for a width that does not fit."""

    @abc.abstractmethod
    def fill(self, interval: Interval, target: Arrays, blacklist: Blacklist | None = None) -> None:
        """Writes the target over `interval` (0-based half-open, may hang off the chromosome) into arrays."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What decides about the values besides the stores, for fingerprints."""

    def target(self, interval: Interval, blacklist: Blacklist | None = None) -> dict[str, np.ndarray]:
        """As `fill`, in new arrays."""
        target = {key: np.empty(shape, dtype) for key, (shape, dtype) in self.shapes(interval.width).items()}
        self.fill(interval, target, blacklist)
        return target


class Placement:
    """Where values of parts go among `tracks`, forwards and reversed."""

    def __init__(self, modality: str, tracks: xr.Dataset, parts: Sequence[Part]):
        self.modality, self.parts = modality, tuple(parts)
        self.size = tracks.sizes["track"]
        self._tracks = tracks
        self._partners: Int[np.ndarray, " track"] | None = None
        self._ways: dict[tuple[Part, bool], tuple[Any, list[tuple[int, int]]]] = {}

    def slots(self, part: Part, reverse: bool) -> Int[np.ndarray, " track"]:
        """Slots of a part's tracks in a target; reversed, those of their partners."""
        if not reverse:
            return part.slots
        if self._partners is None:
            self._partners = find_partners(self.modality, self._tracks)
        return self._partners[part.slots]

    def write(
        self,
        target: Shaped[np.ndarray, "position slot"],
        values: Shaped[np.ndarray, "position track"],
        part: Part,
        reverse: bool,
    ) -> None:
        """Puts values of a part into their slots, reversed from the last position to the first."""
        order, blocks = self._way(part, reverse)
        if order is not None:
            # Many times as fast as assigning to columns in any order.
            values = np.take(values, order, axis=1, mode="clip")
        values = values[::-1] if reverse else values
        column = 0
        for first, last in blocks:
            target[:, first:last] = values[:, column : column + last - first]
            column += last - first

    def _way(self, part: Part, reverse: bool) -> tuple[Any, list[tuple[int, int]]]:
        """The order that sorts a part's slots (None if they are sorted), and the runs of neighbours among them."""
        if (part, reverse) not in self._ways:
            slots = self.slots(part, reverse)
            order = np.argsort(slots)
            ends = np.flatnonzero(np.diff(slots[order]) != 1) + 1
            runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(slots[order], ends)]
            self._ways[part, reverse] = (None if (np.diff(order) == 1).all() else order), runs
        return self._ways[part, reverse]


def check_bins(modality: str, width: int, resolution: int) -> int:
    """The number of bins in a window. Raises InputError when that is not whole."""
    if width % resolution:
        raise InputError(
            f"{modality}: a window of {width:,} bp is no whole number of bins of {resolution:,} bp; choose a multiple"
        )
    return width // resolution
