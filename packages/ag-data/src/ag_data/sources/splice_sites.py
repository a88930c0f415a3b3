"""Splice sites of an annotation as classes: the target of the splice-site head."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Bool

from ag_data.annotation import read_gtf
from ag_data.place_table import SUFFIXES, read_places
from ag_data.splice_sites import KINDS, SpliceSites, annotated_sites


class SpliceSitesSource(AbstractSource):
    """Exonic bases beside introns: of all transcripts of a GTF (or a table made from one), or of a table of sites.

    Tables of sites are those of `agenome genome splice-sites` (Chromosome, 0-based Position, Strand, Kind). Several
    files, such as those of single chromosomes, count as one. Tracks: donor and acceptor on '+', then on '-'. Raises
    InputError for other files, and where there is no site at all.
    """

    layout = "classes"
    resolution = 1

    def __init__(self, path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]):
        paths = [path] if isinstance(path, str | os.PathLike) else list(path)
        read = [_read(pathlib.Path(each)) for each in paths]
        self._sites = read[0][0] if len(read) == 1 else SpliceSites(pd.concat([sites.table for sites, _ in read]))
        self._origin = read[0][1]
        if not len(self._sites.table):
            raise InputError(
                f"{path} holds no splice site: none of its transcripts has two exons; expected exon rows with "
                "transcript_id, as GENCODE and Ensembl publish them"
            )

    def tracks(self) -> xr.Dataset:
        return track_table({"name": [*KINDS, *KINDS], "strand": ["+", "+", "-", "-"]})

    def chromosomes(self) -> Mapping[str, int | None]:
        return {str(name): None for name in self._sites.table["Chromosome"].unique()}

    def facts(self) -> Mapping[str, Any]:
        """Where the sites come from and how many of each class there are."""
        table = self._sites.table
        counts = {f"{kind}{strand}": 0 for strand in "+-" for kind in KINDS}
        for kind, strand in zip(table["Kind"], table["Strand"], strict=True):
            counts[f"{kind}{strand}"] += 1
        return {"origin": self._origin, "sites": counts}

    def read(self, interval: Interval) -> Bool[np.ndarray, "position 4"]:
        """Which bases are sites; a base may be of several classes."""
        return self._sites.mask(interval)[:, : 2 * len(KINDS)]


def _read(path: pathlib.Path) -> tuple[SpliceSites, str]:
    """The sites in a table of sites, or else those of an annotation."""
    if path.name.endswith(SUFFIXES):
        table = read_places(path, "table of splice sites", ())
        if "Feature" not in table:
            return SpliceSites(table), "table of sites"
    return annotated_sites(read_gtf(path)), "annotation"
