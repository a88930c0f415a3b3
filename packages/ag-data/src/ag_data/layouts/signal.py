"""Targets of genome tracks: signal along the sequence."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.blacklist import Blacklist
from ag_data.layouts.bins import bins_dtype, check_resolution, listed_bins, read_bins
from ag_data.layouts.layout import AbstractLayout, Arrays, Placement, Shapes, check_bins
from ag_data.layouts.slots import Part


class Signal(AbstractLayout):
    """`signal` [position, track], sums over bins of `resolution` bp, NaN where not measured; `measured` bool [track].

    A track is measured where its chromosome was imported. Reversed, with positions i of L in the forward frame and
    partners p(t) on the other strand, a target is

        reversed[j, t] = forward[L - 1 - j, p(t)]

    and for cut sites, which belong to the left edge of a base (`left_edge`, DNase),

        reversed[j, t] = forward[L - j, p(t)]

    so that the window is read one base further on: the cut left of the first base after the window is right of its
    last base, and so comes first on the other strand. Where bins are longer than a base, the step is still one base.
    """

    def __init__(self, modality: str, tracks: xr.Dataset, parts: Sequence[Part], resolution: int):
        for part in parts:
            check_resolution(part, resolution)
        edges = {bool(part.store.attributes(modality).get("left_edge", False)) for part in parts}
        if len(edges) > 1:
            raise InputError(
                f"{modality}: in some stores cuts belong to the left edge of a base, in others not; import them alike"
            )
        self._left_edge = edges == {True}
        self._modality, self._resolution = modality, resolution
        self._placement = Placement(modality, tracks, parts)
        self._dtype = bins_dtype(self._placement.parts, resolution)

    def shapes(self, width: int) -> Shapes:
        """As `AbstractLayout.shapes`."""
        bins, size = check_bins(self._modality, width, self._resolution), self._placement.size
        return {"signal": ((bins, size), self._dtype), "measured": ((size,), np.dtype(bool))}

    def settings(self) -> dict[str, Any]:
        """As `AbstractLayout.settings`."""
        return {"layout": "signal", "resolution": self._resolution, "left_edge": self._left_edge}

    def fill(self, interval: Interval, target: Arrays, blacklist: Blacklist | None = None) -> None:
        """As `AbstractLayout.fill`."""
        signal, measured = target["signal"], target["measured"]
        measured[:] = False
        step = int(self._left_edge and interval.negative_strand)
        span = dataclasses.replace(interval, start=interval.start + step, end=interval.end + step, strand=".")
        there = [part for part in self._placement.parts if part.store.has(self._modality, span.chromosome)]
        if sum(len(part.slots) for part in there) < self._placement.size:
            signal[:] = np.nan
        for part in there:
            values = read_bins(part, span, self._resolution)
            if blacklist is not None:
                values[listed_bins(blacklist, span, self._resolution)] = np.nan
            self._placement.write(signal, values, part, interval.negative_strand)
            measured[self._placement.slots(part, interval.negative_strand)] = True
