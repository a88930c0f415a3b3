"""Records of a text file by chromosome, sorted by start: spooled to disk, or behind a tabix index.

Neither holds more in memory than is asked for. What is spooled lies in the system's folder for temporary files
(TMPDIR) as long as the object lives: 12 bytes for each record and more for further columns. Only a chromosome whose
records are not sorted is sorted in memory.
"""

import itertools
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import pandas as pd
import pysam
from ag_core.errors import InputError

from ag_data.files import Compression
from ag_data.sources.text import PLACE, Column, Records, Table

Columns = dict[str, np.ndarray]
# Checks records and makes columns of those that are kept, with their chromosomes.
Convert = Callable[[Records], tuple[pd.Categorical, Columns]]
_PIECE = 1 << 20


class Places(Protocol):
    """Records by place, each with `start` and `end` (0-based half-open) and further columns."""

    def chromosomes(self) -> list[str]:
        """Names, in the order of the file."""
        ...

    def overlapping(self, chromosome: str, start: int, end: int) -> Columns:
        """Records that share a base with [start, end), sorted by start."""
        ...

    def pieces(self, chromosome: str) -> Iterator[Columns]:
        """All records of a chromosome, sorted by start, at most a million at a time."""
        ...


class Spool:
    """Records on disk. `dtypes` names the columns; `start` and `end` are among them as uint32."""

    def __init__(self, dtypes: Mapping[str, str]):
        self._dtypes = {**dtypes, "start": "<u4", "end": "<u4", "reach": "<u4"}
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="ag-spool-"))
        self._clean = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._states: dict[str, _State] = {}

    def add(self, names: pd.Categorical, columns: Columns) -> None:
        """Adds records; `names` are their chromosomes."""
        codes = np.asarray(names.codes)
        order = np.argsort(codes, kind="stable")
        edges = np.searchsorted(codes[order], np.arange(len(names.categories) + 1))
        present = [code for code in range(len(names.categories)) if edges[code] < edges[code + 1]]
        # Chromosomes in the order in which the file names them.
        for code in sorted(present, key=lambda code: order[edges[code]]):
            rows = order[edges[code] : edges[code + 1]]
            own = {name: columns[name][rows].astype(dtype) for name, dtype in self._dtypes.items() if name != "reach"}
            self._append(str(names.categories[code]), own)

    def chromosomes(self) -> list[str]:
        return list(self._states)

    def overlapping(self, chromosome: str, start: int, end: int) -> Columns:
        state = self._states[chromosome]
        if not state.sorted:
            self._sort(state)
        # Values of the array's own type: any other would make numpy convert all of it.
        last = np.searchsorted(self._map(state, "start"), np.uint32(max(end, 0)))
        first = np.searchsorted(self._map(state, "reach")[:last], np.uint32(max(start, 0)), side="right")
        rows = {name: _wide(self._map(state, name)[first:last]) for name in self._dtypes if name != "reach"}
        kept = rows["end"] > start
        return rows if kept.all() else {name: values[kept] for name, values in rows.items()}

    def pieces(self, chromosome: str) -> Iterator[Columns]:
        state = self._states[chromosome]
        if not state.sorted:
            self._sort(state)
        for first in range(0, state.count, _PIECE):
            yield {
                name: _wide(self._map(state, name)[first : first + _PIECE]) for name in self._dtypes if name != "reach"
            }

    def _append(self, chromosome: str, columns: Columns) -> None:
        state = self._states.setdefault(chromosome, _State(len(self._states)))
        start, reach = columns["start"], np.maximum.accumulate(columns["end"])
        reach = np.maximum(reach, np.uint32(state.reach))
        state.sorted &= bool(start[0] >= state.last and (start[1:] >= start[:-1]).all())
        state.last, state.reach, state.count = int(start[-1]), int(reach[-1]), state.count + len(start)
        self._write(state, {**columns, "reach": reach}, "ab")

    def _sort(self, state: "_State") -> None:
        order = np.argsort(self._map(state, "start"), kind="stable")
        for name in self._dtypes:
            if name != "reach":
                self._write(state, {name: np.asarray(self._map(state, name))[order]}, "wb")
        self._write(state, {"reach": np.maximum.accumulate(self._map(state, "end"))}, "wb")
        state.sorted = True

    def _write(self, state: "_State", columns: Columns, mode: str) -> None:
        try:
            for name, values in columns.items():
                # Another name, so that a map of the old file stays what it is.
                path = self._path(state, name)
                if mode == "wb":
                    path = path.with_suffix(".new")
                with path.open(mode) as file:
                    file.write(np.ascontiguousarray(values).data)
                path.replace(self._path(state, name))
        except OSError as error:
            raise InputError(
                f"cannot write to {self._folder} ({error.strerror}); set TMPDIR to a folder with more room"
            ) from error

    def _map(self, state: "_State", name: str) -> np.ndarray:
        return np.memmap(self._path(state, name), self._dtypes[name], "r", shape=(state.count,))

    def _path(self, state: "_State", name: str) -> pathlib.Path:
        return self._folder / f"{state.number}.{name}"


class _State:
    """What is known of a chromosome while it is spooled."""

    def __init__(self, number: int):
        self.number, self.count, self.last, self.reach, self.sorted = number, 0, 0, 0, True


class Tabix:
    """Records behind a tabix index."""

    def __init__(
        self,
        table: Table,
        index: pathlib.Path,
        columns: Mapping[str, Column],
        convert: Convert,
        dtypes: Mapping[str, str],
    ):
        self._table, self._columns, self._convert = table, columns, convert
        self._none = {name: np.zeros(0, dtypes.get(name, np.int64)) for name in ("start", "end", *dtypes)}
        try:
            self._file = pysam.TabixFile(str(table.path), index=str(index))
        except (OSError, ValueError) as error:
            raise InputError(f"{index} is no index of {table.path} ({error}); run `tabix -f -p bed` again") from error

    def chromosomes(self) -> list[str]:
        return list(self._file.contigs)

    def overlapping(self, chromosome: str, start: int, end: int) -> Columns:
        # One base more on both sides, in case the index was made with 1-based starts.
        found = list(self._fetch(chromosome, max(start - 1, 0), end + 1))
        if not found:
            return self._none
        rows = {name: np.concatenate([piece[name] for piece in found]) for name in found[0]}
        kept = (rows["start"] < end) & (rows["end"] > start)
        return {name: values[kept] for name, values in rows.items()}

    def pieces(self, chromosome: str) -> Iterator[Columns]:
        yield from self._fetch(chromosome, None, None)

    def _fetch(self, chromosome: str, start: int | None, end: int | None) -> Iterator[Columns]:
        try:
            lines = self._file.fetch(chromosome, start, end)
            while piece := list(itertools.islice(lines, _PIECE)):
                text = ("\n".join(piece) + "\n").encode()
                yield self._convert(self._table.parse(text, self._columns))[1]
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self._table.label} or its index is damaged ({error}); make both again") from error


def open_places(
    table: Table, columns: Mapping[str, Column], convert: Convert, dtypes: Mapping[str, str], indexed: bool = True
) -> Spool | Tabix:
    """The records of a table: through its tabix index where there is one (and `indexed`), else spooled to disk.

    `convert` makes the columns `start`, `end` and those of `dtypes`.
    """
    index = find_index(table)
    if index is not None and indexed:
        return Tabix(table, index, {**PLACE, **columns}, convert, dtypes)
    spool = Spool(dtypes)
    for records in table.read({**PLACE, **columns}):
        spool.add(*convert(records))
    return spool


def find_index(table: Table) -> pathlib.Path | None:
    """The tabix index beside a bgzip file."""
    if table.compression is not Compression.BGZF:
        return None
    beside = [table.path.with_name(table.path.name + suffix) for suffix in (".tbi", ".csi")]
    return next((path for path in beside if path.exists()), None)


def _wide(values: np.ndarray) -> np.ndarray:
    """Positions as int64, so that they can be subtracted."""
    return values.astype(np.int64) if values.dtype == np.uint32 else np.array(values)
