"""Targets of splice junctions: the sites that are used, and how many reads join each donor to each acceptor."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Bool, Float, Int

from ag_data.blacklist import Blacklist
from ag_data.contigs import match_contig
from ag_data.layouts.layout import AbstractLayout, Arrays, Placement, Shapes
from ag_data.layouts.slots import Part
from ag_data.splice_sites import SpliceSites

SITES = 512
_NO_SITE = -1


@dataclasses.dataclass(frozen=True)
class _Introns:
    """Introns of a window, each once: bases next to them (from the window's start), strand, reads by slot."""

    left: Int[np.ndarray, " intron"]
    right: Int[np.ndarray, " intron"]
    minus: Bool[np.ndarray, " intron"]
    counts: Float[np.ndarray, "intron track"]


class Junctions(AbstractLayout):
    """`splice_site_positions` int32 [4, site] and `counts` float32 [site, site, 2 x track].

    Rows of sites: donor+, acceptor+, donor-, acceptor-, each ascending from the window's start, -1 where there are no
    more. A site is the exonic base next to an intron; introns count whose two sites lie in the window. `sites` is how
    many a row can hold: the ones with most reads (all tracks together; of equals the first on the genome) stay.
    `annotated` sites come in where there is room, without reads. `counts` [donor, acceptor]: tracks on +, then on -;
    0 for pairs not seen, NaN for tracks that were not measured. Reversed: positions turned, strands swapped.
    """

    def __init__(
        self,
        modality: str,
        tracks: xr.Dataset,
        parts: Sequence[Part],
        resolution: int = 1,
        *,
        sites: int = SITES,
        annotated: SpliceSites | None = None,
    ):
        if sites < 1:
            raise InputError(f"{modality}: room for {sites} sites; expected at least 1")
        strands = set(tracks["strand"].values) - {"."}
        if strands:
            raise InputError(
                f"{modality}: tracks on {', '.join(sorted(strands))}; a junction has its own strand, so tracks are '.'"
            )
        self._modality, self._sites, self._annotated = modality, sites, annotated
        self._placement = Placement(modality, tracks, parts)
        self._missing = [part.store.statistics(modality)["missing"] > 0 for part in self._placement.parts]

    def shapes(self, width: int) -> Shapes:
        """As `AbstractLayout.shapes`."""
        size = self._sites
        return {
            "splice_site_positions": ((4, size), np.dtype(np.int32)),
            "counts": ((size, size, 2 * self._placement.size), np.dtype(np.float32)),
        }

    def settings(self) -> dict[str, Any]:
        """As `AbstractLayout.settings`."""
        annotated = 0 if self._annotated is None else len(self._annotated.table)
        return {"layout": "junctions", "sites": self._sites, "annotated": annotated}

    def fill(self, interval: Interval, target: Arrays, blacklist: Blacklist | None = None) -> None:
        """As `AbstractLayout.fill`."""
        span, turned, last = dataclasses.replace(interval, strand="."), interval.negative_strand, interval.width - 1
        positions, size = target["splice_site_positions"], self._sites
        positions[:] = _NO_SITE
        counts = target["counts"].reshape(size, size, 2, self._placement.size)
        introns, measured = self._read(span)
        if measured.all():
            counts.fill(0)
        else:
            counts[:] = np.where(measured, np.float32(0), np.float32(np.nan))
        if not measured.any():
            return
        listed = None if blacklist is None else blacklist.mask(span)
        known = np.zeros((span.width, 4), bool)
        if self._annotated is not None:
            known = self._annotated.mask(span)[:, :4]
        for strand in (0, 1):
            own = introns.minus == bool(strand)
            ends = (introns.right[own], introns.left[own]) if strand else (introns.left[own], introns.right[own])
            reads = introns.counts[own]
            half = counts[:, :, 1 - strand if turned else strand]
            sites, places, there = [], [], np.ones(len(reads), bool)
            for kind, end in enumerate(ends):
                row = self._strongest(end, reads, np.flatnonzero(known[:, 2 * strand + kind]))
                place = np.minimum(np.searchsorted(row, end), len(row) - 1)
                there &= row[place] == end if len(row) else False
                if turned:
                    row, place = last - row[::-1], len(row) - 1 - place
                positions[2 * (1 - strand if turned else strand) + kind, : len(row)] = row
                sites.append(row)
                places.append(place)
            half[places[0][there], places[1][there]] = reads[there]
            if listed is not None:
                for kind, row in enumerate(sites):
                    hidden = np.flatnonzero((listed[::-1] if turned else listed)[row])
                    np.moveaxis(half, kind, 0)[hidden] = np.nan

    def _read(self, span: Interval) -> tuple[_Introns, Bool[np.ndarray, " track"]]:
        """The introns of all stores whose two sites lie in the window, and which slots were measured."""
        measured = np.zeros(self._placement.size, bool)
        # An intron's sites are the bases before and after it.
        inner = Interval(span.chromosome, span.start + 1, max(span.end - 1, span.start + 1))
        keys, reads = [np.zeros((0, 3), np.int64)], [np.zeros((0, self._placement.size), np.float32)]
        for part, missing in zip(self._placement.parts, self._missing, strict=True):
            contig = match_contig(span.chromosome, missing["contig"].values.tolist())
            if contig is None:
                continue
            measured[part.slots] = ~missing.sel(contig=contig).values[part.columns]
            table = part.store.read(self._modality, inner, part.wanted)
            strand = table["strand"].values.astype(str)
            stranded = strand != "."
            own = np.stack([table["start"].values - 1, table["end"].values, strand == "-"], axis=1).astype(np.int64)
            count = np.zeros((int(stranded.sum()), self._placement.size), np.float32)
            count[:, part.slots] = table["count"].values[stranded]
            keys.append(own[stranded])
            reads.append(count)
        unique, rows = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
        counts = np.zeros((len(unique), self._placement.size), np.float32)
        np.add.at(counts, rows.reshape(-1), np.concatenate(reads))
        counts[:, ~measured] = np.nan
        left, right = unique[:, 0] - span.start, unique[:, 1] - span.start
        return _Introns(left, right, unique[:, 2] == 1, counts), measured

    def _strongest(
        self, ends: Int[np.ndarray, " intron"], reads: Float[np.ndarray, "intron track"], known: Int[np.ndarray, " _"]
    ) -> Int[np.ndarray, " site"]:
        """Ends of introns and `known` sites, ascending; the ones with most reads where there is no room for all."""
        row = np.union1d(ends, known)
        if len(row) > self._sites:
            strength = np.bincount(np.searchsorted(row, ends), np.nansum(reads, axis=1), minlength=len(row))
            row = np.sort(row[np.lexsort((row, -strength))[: self._sites]])
        return row.astype(np.int64)
