"""Targets of splice sites: what each base is to the spliceosome."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Bool

from ag_data.blacklist import Blacklist
from ag_data.contigs import match_contig
from ag_data.layouts.layout import AbstractLayout, Arrays, Shapes
from ag_data.layouts.slots import Part
from ag_data.splice_sites import CLASSES

_STRANDS = ["+", "+", "-", "-"]


class Classes(AbstractLayout):
    """`classes` bool [position, 5]: donor+, acceptor+, donor-, acceptor-, none of them.

    A base without any class is not looked at by the loss: one beyond the chromosome, on a chromosome that was not
    imported, or on a blacklist. Reversed: positions turned, strands swapped. A base is a site if any store says so.
    """

    def __init__(self, modality: str, tracks: xr.Dataset, parts: Sequence[Part], resolution: int = 1):
        for part in parts:
            strands = part.store.tracks(modality)["strand"].values.tolist()
            if strands[:4] != _STRANDS or len(strands) > CLASSES or part.store.resolution(modality) != 1:
                raise InputError(
                    f"{part.store.path}: {modality} has tracks on {', '.join(strands)}; expected, at 1 bp, donor and "
                    "acceptor on +, donor and acceptor on -"
                )
        self._modality, self._parts = modality, tuple(parts)

    def shapes(self, width: int) -> Shapes:
        """As `AbstractLayout.shapes`."""
        return {"classes": ((width, CLASSES), np.dtype(bool))}

    def settings(self) -> dict[str, Any]:
        """As `AbstractLayout.settings`."""
        return {"layout": "classes"}

    def fill(self, interval: Interval, target: Arrays, blacklist: Blacklist | None = None) -> None:
        """As `AbstractLayout.fill`."""
        classes, span = target["classes"], dataclasses.replace(interval, strand=".")
        there = [part for part in self._parts if part.store.has(self._modality, span.chromosome)]
        if not there:
            classes[:] = False
            return
        sites = self._read(there[0], span)
        for part in there[1:]:
            sites |= self._read(part, span)
        # The four classes of a base as one number: any of them is there if it is not 0.
        known, neither = np.zeros(span.width, bool), sites.view(np.uint32)[:, 0] == 0
        for part in there:
            known[max(-span.start, 0) : max(_length(part, span.chromosome) - span.start, 0)] = True
        if blacklist is not None:
            known &= ~blacklist.mask(span)
            sites[~known] = False
        neither &= known
        if interval.negative_strand:
            classes[:, :2], classes[:, 2:4], classes[:, 4] = sites[::-1, 2:], sites[::-1, :2], neither[::-1]
        else:
            classes[:, :4], classes[:, 4] = sites, neither

    def _read(self, part: Part, span: Interval) -> Bool[np.ndarray, "position 4"]:
        return np.ascontiguousarray(part.store.read(self._modality, span)[:, :4])


def _length(part: Part, chromosome: str) -> int:
    name = match_contig(chromosome, part.store.chromosomes)
    assert name is not None
    return part.store.chromosomes[name]
