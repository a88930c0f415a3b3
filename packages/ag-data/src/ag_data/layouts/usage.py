"""Targets of splice-site usage: the fraction of reads at each base that use it as a site."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.genome import Interval

from ag_data.blacklist import Blacklist
from ag_data.layouts.bins import bins_dtype, check_resolution, listed_bins, read_bins
from ag_data.layouts.layout import AbstractLayout, Arrays, Placement, Shapes
from ag_data.layouts.slots import Part


class Usage(AbstractLayout):
    """`usage` [position, track], fractions, NaN where not measured. Reversed: positions turned, strands swapped.

    Fractions do not add up, so that both the store and the target have single bases.
    """

    def __init__(self, modality: str, tracks: xr.Dataset, parts: Sequence[Part], resolution: int = 1):
        for part in parts:
            check_resolution(part, 1)
        self._modality = modality
        self._placement = Placement(modality, tracks, parts)
        self._dtype = bins_dtype(self._placement.parts, 1)

    def shapes(self, width: int) -> Shapes:
        """As `AbstractLayout.shapes`."""
        return {"usage": ((width, self._placement.size), self._dtype)}

    def settings(self) -> dict[str, Any]:
        """As `AbstractLayout.settings`."""
        return {"layout": "usage"}

    def fill(self, interval: Interval, target: Arrays, blacklist: Blacklist | None = None) -> None:
        """As `AbstractLayout.fill`."""
        usage, span = target["usage"], dataclasses.replace(interval, strand=".")
        there = [part for part in self._placement.parts if part.store.has(self._modality, span.chromosome)]
        if sum(len(part.slots) for part in there) < self._placement.size:
            usage[:] = np.nan
        for part in there:
            values = read_bins(part, span, 1)
            if blacklist is not None:
                values[listed_bins(blacklist, span, 1)] = np.nan
            self._placement.write(usage, values, part, interval.negative_strand)
