"""Peaks: one track, or one for each combination of some columns; bins sum what their bases hold.

A base holds 1 where a peak covers it ("binary", so a bin of 128 bp holds 0 to 128), or the largest value of the peaks
that cover it; else 0.
"""

import itertools
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
from jaxtyping import Float, Int

from ag_data.sources.bins import check_resolution
from ag_data.sources.peak_columns import SUMMIT, find_columns
from ag_data.sources.spool import Columns, Spool
from ag_data.sources.text import PLACE, Column, Records, Table
from ag_data.sources.values import track_name

_VALUES = {"signal": "signalValue", "score": "score"}


class PeaksSource(AbstractSource):
    """BED (3 columns or more), narrowPeak, broadPeak, or a table whose first line names its columns.

    - `value`: "binary", "signal" (signalValue), "score", or the name of any column of numbers.
    - `summit_window`: this many bp around the summit (an offset from the peak's start) instead of the whole peak; of
      an even number, the summit is the first base of the right half.
    - `stranded`: tracks for '+' and '-', by the column of strands.
    - `track_columns`: names of columns; each distinct combination of their values is a track that has them as
      metadata, under other names if a mapping gives them. Without a header, columns have the names of the BED,
      narrowPeak or broadPeak formats.

    The file is read once, when it is opened. Raises InputError naming the line for peaks without length, values that
    are no numbers, summits outside their peak, and strands other than '+' and '-' where they are needed.
    """

    layout = "signal"

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int = 1,
        value: str = "binary",
        summit_window: int | None = None,
        stranded: bool = False,
        track_columns: str | Sequence[str] | Mapping[str, str] = (),
    ):
        self.resolution = check_resolution(resolution)
        if summit_window is not None and (type(summit_window) is not int or summit_window < 1):
            raise InputError(f"summit_window is {summit_window!r}; expected a length in bp")
        self._value, self._window, self._stranded = value, summit_window, bool(stranded)
        self._keys = (track_columns,) if isinstance(track_columns, str) else tuple(track_columns)
        self._titles = dict(track_columns) if isinstance(track_columns, Mapping) else {}
        self._table = Table(pathlib.Path(path), "file of peaks")
        columns, header = find_columns(self._table)
        wanted = {name: Column(columns[name], PLACE[name].kind) for name in PLACE}
        if value != "binary":
            wanted["value"] = Column(self._find(columns, _VALUES.get(value, value), "value"), "float")
        if summit_window is not None:
            wanted["summit"] = Column(self._find(columns, SUMMIT, "summit_window"), "int")
        if stranded:
            wanted["strand"] = Column(self._find(columns, "strand", "stranded"), "text")
        # Prefixed, since a file may well call a column "value".
        wanted |= {f"key {key}": Column(self._find(columns, key, "track_columns"), "text") for key in self._keys}
        self._numbers: dict[tuple[str, ...], int] = {} if self._keys else {(): 0}
        self._places = Spool({"value": "<f8", "track": "<i4"})
        self._count = 0
        for records in self._table.read(wanted, header):
            self._places.add(records.names["chromosome"], self._convert(records))
            self._count += len(records.lines)
        # Tracks are sorted by name; on disk they have the numbers in which they came.
        self._order = sorted(self._numbers)

    def tracks(self) -> xr.Dataset:
        strands = ["+", "-"] if self._stranded else ["."]
        keys = [key for key in self._order for _ in strands]
        names = [" ".join(key) or track_name(self._table.path) for key in keys]
        columns = {self._titles.get(name, name): [key[index] for key in keys] for index, name in enumerate(self._keys)}
        return track_table({"name": names, "strand": strands * len(self._order), **columns})

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict.fromkeys(self._places.chromosomes())

    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        """Sums over bins of what bases hold."""
        rows = self._places.overlapping(interval.chromosome, interval.start, interval.end)
        start = np.maximum(rows["start"], interval.start) - interval.start
        end = np.minimum(rows["end"], interval.end) - interval.start
        strands = 2 if self._stranded else 1
        tracks = [self._numbers[key] * strands + strand for key in self._order for strand in range(strands)]
        values = np.zeros((-(-interval.width // self.resolution), len(tracks)), np.float32)
        for column, track in enumerate(tracks):
            own = np.flatnonzero(rows["track"] == track)
            if len(own):
                _add_largest(values[:, column], self.resolution, start[own], end[own], rows["value"][own])
        return values

    def facts(self) -> Mapping[str, Any]:
        """Number of peaks, and settings."""
        return {"peaks": self._count, "value": self._value, "summit_window": self._window}

    def _find(self, columns: Mapping[str, int], name: str, option: str) -> int:
        if name not in columns:
            raise InputError(
                f"{self._table.label} has no column {name!r}, which {option} needs; it has {', '.join(columns)}"
            )
        return columns[name]

    def _convert(self, records: Records) -> Columns:
        self._table.check_places(records)
        start, end = records.columns["start"], records.columns["end"]
        if self._window is not None:
            summit = records.columns["summit"]
            # Published files have a few summits on the peak's end.
            wrong = np.flatnonzero((summit < 0) | (summit > end - start))
            if len(wrong):
                row = wrong[0]
                reason = f"summit {summit[row]} of a peak of {end[row] - start[row]} bp; expected an offset within it"
                self._table.refuse(records, row, f"{reason}, from its start (leave out summit_window without summits)")
            left = start + summit - self._window // 2
            start, end = np.maximum(left, 0), left + self._window
        value = np.ones(len(start))
        if "value" in records.columns:
            self._table.check_finite(records, "value")
            value = records.columns["value"]
        return {"start": start, "end": end, "value": value, "track": self._track(records)}

    def _track(self, records: Records) -> np.ndarray:
        """The number of each record's track, as they come; on two strands, twice that and 0 or 1."""
        if self._keys:
            keys = pd.MultiIndex.from_arrays([records.names[f"key {key}"].astype(str) for key in self._keys])
            codes, distinct = pd.factorize(keys)
            known = [self._numbers.setdefault(tuple(map(str, key)), len(self._numbers)) for key in distinct]
            number = np.array(known, np.int64)[codes]
        else:
            number = np.zeros(len(records.lines), np.int64)
        if not self._stranded:
            return number
        strand = np.asarray(records.names["strand"].astype(str))
        wrong = np.flatnonzero((strand != "+") & (strand != "-"))
        if len(wrong):
            self._table.refuse(records, wrong[0], f"strand is {strand[wrong[0]]!r}; expected '+' or '-'")
        return number * 2 + (strand == "-")


def _add_largest(
    bins: Float[np.ndarray, " position"],
    resolution: int,
    start: Int[np.ndarray, " peak"],
    end: Int[np.ndarray, " peak"],
    value: Float[np.ndarray, " peak"],
) -> None:
    """Adds to `bins` the largest value of the peaks (sorted by start) over each base, group by group of overlaps."""
    reach = np.maximum.accumulate(end)
    groups = np.flatnonzero(np.append(True, start[1:] >= reach[:-1]))
    for first, last in itertools.pairwise([*groups.tolist(), len(start)]):
        low = int(start[first]) // resolution
        high = -(-int(reach[last - 1]) // resolution)
        held = np.full((high - low) * resolution, -np.inf)
        for peak in range(first, last):
            covered = held[start[peak] - low * resolution : end[peak] - low * resolution]
            np.maximum(covered, value[peak], out=covered)
        held[np.isneginf(held)] = 0
        bins[low:high] += held.reshape(-1, resolution).sum(axis=1)
