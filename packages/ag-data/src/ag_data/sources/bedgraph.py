"""bedGraph: one track; bins hold the sum of the values of their bases."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float

from ag_data.sources.bins import check_resolution
from ag_data.sources.spool import Columns, Spool, Tabix, open_places
from ag_data.sources.text import Column, Records, Table
from ag_data.sources.values import bin_values, check_gaps, check_scale, track_name


class BedGraphSource(AbstractSource):
    """A bedGraph file (chromosome, start, end, value; 0-based half-open): text, gzip, bzip2, or bgzip with tabix.

    Without a tabix index the file is read once, when it is opened, and spooled to temporary files; its entries may
    then come in any order. Options are those of `ag_data.sources.bigwig.BigWigSource`. Raises InputError naming the
    line for entries that overlap, are empty or hold no number.
    """

    layout = "signal"

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int = 1,
        scale: float | str = 1.0,
        gaps: str = "zero",
    ):
        self._path = pathlib.Path(path)
        self.resolution = check_resolution(resolution)
        self._scale, self._gaps = check_scale(scale), check_gaps(gaps)
        self._table = Table(self._path, "bedGraph file")
        value = {"value": Column(3, "float")}
        self._places = open_places(self._table, value, self._check, {"value": "<f8", "line": "<i8"})
        if isinstance(self._places, Spool):
            for chromosome in self._places.chromosomes():
                last = None
                for rows in self._places.pieces(chromosome):
                    both = rows if last is None else {name: np.append(last[name], rows[name]) for name in rows}
                    self._refuse_overlaps(chromosome, both)
                    last = {name: values[-1:] for name, values in rows.items()}

    def tracks(self) -> xr.Dataset:
        return track_table({"name": [track_name(self._path)], "strand": ["."]})

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict.fromkeys(self._places.chromosomes())

    def read(self, interval: Interval) -> Float[np.ndarray, "position 1"]:
        """Sums over bins. Raises InputError for entries that overlap."""
        rows = self._places.overlapping(interval.chromosome, interval.start, interval.end)
        self._refuse_overlaps(interval.chromosome, rows)
        start, end = rows["start"], rows["end"]
        values = np.full(interval.width, np.nan)
        start = np.maximum(start, interval.start) - interval.start
        width = np.minimum(end, interval.end) - interval.start - start
        within = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
        values[np.repeat(start, width) + within] = np.repeat(rows["value"], width)
        return bin_values(values, self.resolution, self._scale, self._gaps)

    def facts(self) -> Mapping[str, Any]:
        """Scale, meaning of gaps, and how the file is read."""
        return {"scale": self._scale, "gaps": self._gaps, "tabix": isinstance(self._places, Tabix)}

    def _check(self, records: Records) -> tuple[pd.Categorical, Columns]:
        self._table.check_places(records)
        self._table.check_finite(records, "value")
        return records.names["chromosome"], {**records.columns, "line": records.lines}

    def _refuse_overlaps(self, chromosome: str, rows: Columns) -> None:
        start, end = rows["start"], rows["end"]
        wrong = np.flatnonzero(start[1:] < end[:-1])
        if len(wrong):
            first, second = sorted((wrong[0], wrong[0] + 1), key=lambda row: rows["line"][row])
            numbers = [f"line {line}, " if line else "" for line in rows["line"][[first, second]]]
            raise InputError(
                f"{self._table.label}: entries overlap: {numbers[0]}{chromosome}:{start[first]}-{end[first]}, and "
                f"{numbers[1]}{chromosome}:{start[second]}-{end[second]}; a base may have one value, so merge them "
                "(`bedtools merge`) or give each track a file of its own"
            )
