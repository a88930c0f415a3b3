"""Targets of contact maps: whole matrices from the stored upper band."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Int

from ag_data.blacklist import Blacklist
from ag_data.layouts.layout import AbstractLayout, Arrays, Placement, Shapes, check_bins
from ag_data.layouts.slots import Part


class Contacts(AbstractLayout):
    """`contacts` [row, column, track], symmetric; NaN where not measured or farther apart than the store goes.

    The window lies where it lies, but the map has a grid (2,048 bp): the nearest stretch of the grid is taken, at most
    half a bin (1,024 bp) off, the upstream one of two as near. Bins that a blacklist covers by more than half are
    not measured. Reversed: both axes turned.
    """

    def __init__(self, modality: str, tracks: xr.Dataset, parts: Sequence[Part], resolution: int):
        for part in parts:
            if part.store.resolution(modality) != resolution:
                raise InputError(
                    f"{part.store.path}: {modality} has bins of {part.store.resolution(modality)} bp, wanted are "
                    f"{resolution} bp; contact maps are not binned anew, so import at that resolution"
                )
        self._modality, self._resolution = modality, resolution
        self._placement = Placement(modality, tracks, parts)
        types = [np.dtype(part.store.attributes(modality)["dtype"]) for part in parts]
        self._dtype = np.result_type(*types) if types else np.dtype(np.float32)

    def shapes(self, width: int) -> Shapes:
        """As `AbstractLayout.shapes`."""
        bins = check_bins(self._modality, width, self._resolution)
        return {"contacts": ((bins, bins, self._placement.size), self._dtype)}

    def settings(self) -> dict[str, Any]:
        """As `AbstractLayout.settings`."""
        return {"layout": "contacts", "resolution": self._resolution}

    def fill(self, interval: Interval, target: Arrays, blacklist: Blacklist | None = None) -> None:
        """As `AbstractLayout.fill`."""
        contacts = target["contacts"]
        contacts[:] = np.nan
        size = self._resolution
        start = -(-(2 * interval.start - size) // (2 * size)) * size
        span = Interval(interval.chromosome, start, start + interval.width)
        for part in self._placement.parts:
            if not part.store.has(self._modality, span.chromosome):
                continue
            band = part.store.read(self._modality, span, part.wanted)
            rows, columns = _upper(len(band), band.shape[1])
            values = band[rows, columns - rows]
            if interval.negative_strand:
                # Turned, the upper band is the lower one; the map is symmetric.
                rows, columns = len(band) - 1 - columns, len(band) - 1 - rows
            slots = self._placement.slots(part, interval.negative_strand)
            whole = np.array_equal(slots, np.arange(self._placement.size))
            for first, second in ((rows, columns), (columns, rows)):
                if whole:
                    contacts[first, second] = values
                else:
                    contacts[first[:, None], second[:, None], slots] = values
        if blacklist is not None:
            listed = blacklist.mask(span).reshape(-1, size).mean(axis=1) > 0.5
            listed = listed[::-1] if interval.negative_strand else listed
            contacts[listed] = np.nan
            contacts[:, listed] = np.nan


@functools.lru_cache(maxsize=8)
def _upper(bins: int, offsets: int) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Rows and columns of pairs of bins that are fewer than `offsets` apart, the column not before the row."""
    rows, columns = np.triu_indices(bins)
    near = columns - rows < offsets
    return rows[near], columns[near]
