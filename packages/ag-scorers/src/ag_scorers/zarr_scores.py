"""The tree of `ag_scorers.dataset` in a zarr store (v3), written as results come; xarray opens it.

    tree = xr.open_datatree("scores.zarr", engine="zarr")

All tracks of a scorer are in each chunk (1-2 MiB), zstd level 1. In memory is at most a chunk of each array.
"""

import contextlib
import json
import pathlib
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import zarr
from ag_data.zarr_layout import chunk_and_shard
from jaxtyping import Shaped
from zarr.codecs import ZstdCodec

from ag_scorers.annotated_vcf import Put
from ag_scorers.dataset import VARIABLES, check_tracks, describe, fill, item_columns, settle, track_columns
from ag_scorers.folder_outputs import replacing_folder
from ag_scorers.results import Result, ScorerResult

SUFFIX = ".zarr"
# Value of the root's attribute `content`, by which a store is known as one of scores.
CONTENT = "agenome scores 1"
ENTRIES = 1 << 16  # in a chunk of a column


@contextlib.contextmanager
def write_zarr(path: pathlib.Path, provenance: Mapping[str, str]) -> Iterator[Put]:
    """The tree of all results; the root's attributes are `provenance` and `content`."""
    with replacing_folder(path, _is_ours) as folder:
        root = zarr.create_group(folder, attributes={**provenance, "content": CONTENT}, zarr_format=3)
        calls = {name: _Growing(root, name, ("call",), ENTRIES) for name in ("status", "variant", "detail")}
        scorers: dict[str, _Scorer] = {}
        count = 0

        def put(result: Result) -> None:
            nonlocal count
            call = result.call
            for name, text in {"status": call.status.value, "variant": str(call), "detail": call.detail}.items():
                calls[name].put(count, np.array([text], object))
            for scores in result.scores:
                if scores.key not in scorers:
                    group = root.create_group(scores.key, attributes=describe(scores))
                    scorers[scores.key] = _Scorer(group, scores)
                scorers[scores.key].put(count, str(call), scores)
            count += 1

        yield put
        for column in calls.values():
            column.close(count)
        root.attrs["coordinates"] = "variant detail"
        for scorer in scorers.values():
            scorer.close()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Consolidated metadata", category=UserWarning)
            zarr.consolidate_metadata(root.store, zarr_format=3)


def _is_ours(path: pathlib.Path) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return json.loads((path / "zarr.json").read_text()).get("attributes", {}).get("content") == CONTENT
    return False


class _Scorer:
    """A child of the tree."""

    def __init__(self, group: zarr.Group, first: ScorerResult):
        self._group, self._first = group, first
        self._rows = 0
        self._columns: dict[str, _Growing] = {}
        self._arrays: dict[str, _Growing] = {}
        # Items whose columns are not written yet, from `_begin` on.
        self._begin = 0
        self._calls: list[tuple[int, str]] = []
        self._tables: list[tuple[Mapping[str, np.ndarray], int]] = []

    def put(self, call: int, variant: str, scores: ScorerResult) -> None:
        check_tracks(self._first, scores)
        for name, source in VARIABLES.items():
            array = getattr(scores, source)
            if array is not None and name not in self._arrays:
                (rows, _), _ = chunk_and_shard((1 << 62, *array.shape[1:]), 4)
                self._arrays[name] = _Growing(self._group, name, ("item", "track"), rows)
            if name in self._arrays:
                self._arrays[name].put(self._rows, fill(array, scores))
        self._rows += len(scores.values)
        self._calls.append((call, variant))
        self._tables.append((scores.table, len(scores.values)))
        if self._rows - self._begin >= ENTRIES:
            self._flush()

    def close(self) -> None:
        self._flush()
        for growing in (*self._columns.values(), *self._arrays.values()):
            growing.close(self._rows)
        tracks = track_columns(self._first, self._columns)
        for name, values in tracks.items():
            column = _Growing(self._group, name, ("track",), max(1, len(values)))
            column.put(0, values)
            column.close(len(values))
        self._group.attrs["coordinates"] = " ".join(name for name in (*self._columns, *tracks) if name != "track")

    def _flush(self) -> None:
        counts = [count for _, count in self._tables]
        calls = np.repeat(np.array([number for number, _ in self._calls], np.int64), counts)
        variants = np.repeat(np.array([variant for _, variant in self._calls], object), counts)
        columns = {"variant": settle(variants), "call": calls, **item_columns(self._tables)}
        for name, values in columns.items():
            if name not in self._columns:
                self._columns[name] = _Growing(self._group, name, ("item",), ENTRIES)
            self._columns[name].put(self._begin, values)
        self._calls.clear()
        self._tables.clear()
        self._begin = self._rows


class _Growing:
    """A zarr array that gets longer, chunk by chunk. What is left out reads as NaN or empty text."""

    def __init__(self, group: zarr.Group, name: str, dims: tuple[str, ...], chunk: int):
        self._group, self._name, self._dims, self._chunk = group, name, dims, chunk
        self._array: zarr.Array | None = None
        self._waiting: list[np.ndarray] = []
        self._first = 0  # row of the first that waits, a multiple of `chunk`
        self._rows = 0
        self._like = np.array([], object)

    def put(self, row: int, values: Shaped[np.ndarray, "row ..."]) -> None:
        """Values from `row` on, which is no less than all rows so far."""
        self._like = values[:0]
        self._skip_to(row)
        self._append(values)

    def close(self, rows: int) -> None:
        """Writes the rest."""
        self._skip_to(rows)
        self._waiting.append(self._like)
        self._write(rows, max(1, min(self._chunk, rows)))

    def _skip_to(self, row: int) -> None:
        text = self._like.dtype.kind == "O"
        dtype = object if text else np.float32 if self._like.dtype == np.float32 else np.float64
        while self._rows < row:
            size = min(self._chunk, row - self._rows)
            self._append(np.full((size, *self._like.shape[1:]), "" if text else np.nan, dtype))

    def _append(self, values: np.ndarray) -> None:
        self._waiting.append(values)
        self._rows += len(values)
        if self._rows - self._first >= self._chunk:
            self._write(self._rows - self._rows % self._chunk, self._chunk)

    def _write(self, end: int, chunk: int) -> None:
        """Writes rows up to `end` of those that wait."""
        values = _join(self._waiting)
        values, rest = values[: end - self._first], values[end - self._first :]
        if values.dtype == object:
            values = values.astype(np.dtypes.StringDType())
        if self._array is None:
            self._array = self._create(values, chunk)
        elif self._array.dtype != values.dtype:
            joined = _join([np.asarray(self._array[:]), values])
            self._first, values = 0, joined.astype(np.dtypes.StringDType()) if joined.dtype == object else joined
            self._array = self._create(values, chunk)
        self._array.resize((end, *values.shape[1:]))
        self._array[self._first : end] = values
        self._waiting, self._first = ([rest] if len(rest) else []), end

    def _create(self, values: np.ndarray, chunk: int) -> zarr.Array:
        return self._group.create_array(
            self._name,
            shape=(0, *values.shape[1:]),
            chunks=(chunk, *(max(1, size) for size in values.shape[1:])),
            dtype=values.dtype,
            compressors=ZstdCodec(level=1),
            fill_value="" if values.dtype.kind == "T" else np.nan if values.dtype.kind == "f" else 0,
            dimension_names=self._dims,
            overwrite=True,
        )


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """One after the other; numbers become text (NaN: empty) where there is text as well."""
    if len({part.dtype.kind in "OT" for part in parts}) > 1:
        parts = [part if part.dtype.kind in "OT" else settle(np.append(part.astype(object), ""))[:-1] for part in parts]
    return np.concatenate([part.astype(object) if part.dtype.kind == "T" else part for part in parts])
