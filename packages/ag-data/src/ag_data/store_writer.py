"""Writes modalities of a track store into a work folder, block by block, so that nothing is lost or half there.

A journal lists finished blocks with their statistics; an interrupted import with the same fingerprint goes on from
there. Only whole modalities move into the store (`commit`): by a rename where the store is new, otherwise one after
the other, during which the store says that it is not complete and a rerun finishes the move.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from ag_core.errors import InputError
from jaxtyping import Shaped
from zarr.codecs import ZstdCodec

from ag_data.disk import explain_full_disk
from ag_data.store import FORMAT, SCHEMA, STATISTICS, work_folder
from ag_data.zarr_layout import LARGEST_HALF, chunk_and_shard, lock, sync, write_column, write_table

_COMMIT = "commit.json"
# What a full disk leaves.
KEPT = "the store is as it was, and finished blocks are kept"


class StoreWriter:
    """What is new in the store at `path`. Raises InputError when another process writes to the same store."""

    def __init__(self, path: pathlib.Path, fingerprint: str):
        self.path, self.folder = path, work_folder(path)
        self.store = self.folder / "store"
        self._journal = self.folder / "journal.jsonl"
        with explain_full_disk(f"{KEPT} in {self.folder}"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._unlock = lock(self.folder / "lock")
            self.statistics = self._resume(fingerprint)
            if not self.statistics:
                shutil.rmtree(self.store, ignore_errors=True)
                self._journal.unlink(missing_ok=True)
                zarr.create_group(self.store, zarr_format=3)
                self._note({"fingerprint": fingerprint})

    def begin(self, modality: str, attrs: Mapping[str, Any]) -> None:
        """A modality's group; its table comes at the end, with what was counted."""
        group = zarr.open_group(self.store, path=modality, mode="a", zarr_format=3)
        group.attrs.update(dict(attrs))

    def array(
        self, name: str, shape: tuple[int, ...], dims: tuple[str, ...], dtype: str, fresh: bool, most: int | None = None
    ) -> zarr.Array:
        """The array `name`, emptied if `fresh`, in chunks of at most `most` rows. To be written in its `blocks`."""
        group = zarr.open_group(self.store, path=str(pathlib.PurePosixPath(name).parent), mode="a", zarr_format=3)
        leaf = pathlib.PurePosixPath(name).name
        if not fresh:
            return group[leaf]  # pyright: ignore[reportReturnType]
        chunks, shards = chunk_and_shard(shape, np.dtype(dtype).itemsize, most)
        return group.create_array(
            leaf,
            shape=shape,
            chunks=chunks,
            shards=shards,
            dtype=dtype,
            compressors=ZstdCodec(level=1),
            fill_value=0 if dtype == "uint8" else float("nan"),
            dimension_names=dims,
            overwrite=True,
        )

    def columns(self, name: str, columns: Mapping[str, np.ndarray], dim: str) -> None:
        """Coordinates beside an array."""
        group = zarr.open_group(self.store, path=name, mode="a", zarr_format=3)
        for key, column in columns.items():
            write_column(group, key, column, dim)

    def close_block(self, name: str, block: int, statistics: Mapping[str, np.ndarray], array: zarr.Array) -> None:
        """Says that a block is on the disk; an interruption from now on does not cost it."""
        sync(self.store / array.path)
        entry = {key: [float(value) for value in values] for key, values in statistics.items()}
        self.statistics[name, block] = entry
        self._note({"block": [name, block], "statistics": entry})

    def finish(self, modality: str, table: xr.Dataset, statistics: xr.Dataset) -> None:
        """The track table and the statistics of a modality."""
        group = zarr.open_group(self.store, path=modality, mode="a", zarr_format=3)
        write_table(group, table)
        for key in STATISTICS:
            values = statistics[key].values
            array = group.create_array(
                key, shape=values.shape, dtype=values.dtype, dimension_names=("contig", "track"), overwrite=True
            )
            array[:] = values
        group.attrs["coordinates"] = f"{group.attrs['coordinates']} {' '.join(STATISTICS)}"

    def commit(self, attrs: Mapping[str, Any]) -> None:
        """Moves everything to its place; `attrs` are those of the store's root from now on."""
        root = {"schema": SCHEMA, "format": FORMAT, "complete": True, **attrs}
        zarr.open_group(self.store, mode="r+").attrs.put(root)
        sync(self.store)
        if self.path.exists():
            (self.folder / f"{_COMMIT}.tmp").write_text(json.dumps(root))
            os.replace(self.folder / f"{_COMMIT}.tmp", self.folder / _COMMIT)
            move_into_place(self.path)
        else:
            os.rename(self.store, self.path)
        self.discard()

    def discard(self) -> None:
        """Removes the work folder."""
        self._unlock()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Lets go of the work folder; what is finished stays for the next run."""
        self._unlock()

    def _resume(self, fingerprint: str) -> dict[tuple[str, int], dict[str, Any]]:
        """Statistics of finished blocks of an interrupted run; a line that was cut off does not count."""
        lines = []
        with contextlib.suppress(OSError, ValueError):
            for line in self._journal.read_text().splitlines():
                lines.append(json.loads(line))
        if not lines or lines[0].get("fingerprint") != fingerprint or not (self.store / "zarr.json").is_file():
            return {}
        self._journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return {(line["block"][0], line["block"][1]): line["statistics"] for line in lines[1:]}

    def _note(self, entry: Mapping[str, Any]) -> None:
        with self._journal.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def move_into_place(path: pathlib.Path) -> bool:
    """Finishes a commit that was begun, if there is one; whatever was interrupted goes on from there."""
    folder = work_folder(path)
    if not (folder / _COMMIT).is_file():
        return False
    root = json.loads((folder / _COMMIT).read_text())
    zarr.open_group(path, mode="r+").attrs["complete"] = False
    old = folder / "old"
    old.mkdir(exist_ok=True)
    for new in sorted(entry for entry in (folder / "store").iterdir() if entry.is_dir()):
        if (path / new.name).exists():
            shutil.rmtree(old / new.name, ignore_errors=True)
            os.rename(path / new.name, old / new.name)
        os.rename(new, path / new.name)
    zarr.open_group(path, mode="r+").attrs.put(root)
    sync(path / "zarr.json")
    (folder / _COMMIT).unlink()
    return True


def blocks(array: zarr.Array) -> Iterator[tuple[int, int, int]]:
    """(number, first row, last row) of the shards of an array, each to be written by one writer."""
    rows = (array.shards or array.chunks)[0]
    for number, first in enumerate(range(0, array.shape[0], rows)):
        yield number, first, min(first + rows, array.shape[0])


def as_stored(values: Shaped[np.ndarray, "..."], dtype: str, label: str) -> Shaped[np.ndarray, "..."]:
    """Values in the type of the store. Raises InputError for what it cannot hold."""
    if dtype == "uint8":
        return values.astype(np.uint8)
    if not np.isfinite(values).all() and np.isinf(values).any():
        raise InputError(f"{label} holds infinite values; correct the file")
    if dtype == "float16" and values.size:
        largest = float(np.nanmax(np.abs(values), initial=0))
        if largest > LARGEST_HALF:
            raise InputError(
                f"{label}: a value of {largest:,.0f} does not fit float16 (at most 65,504); scale it, or set "
                "`dtype: float32` for this modality under `modalities:`"
            )
    return values.astype(dtype, copy=False)


def count(values: Shaped[np.ndarray, "row ... track"]) -> dict[str, np.ndarray]:
    """`STATISTICS` of a block, for each track."""
    # numpy computes float32 many times faster than float16, and sums of pieces are cheap to join.
    parts = [_count(part) for part in np.array_split(values, max(1, values.size >> 22))]
    how = {"largest": np.max, "smallest": np.min}
    return {key: how.get(key, np.sum)([part[key] for part in parts], axis=0) for key in STATISTICS}


def count_nothing(values: int, tracks: int) -> dict[str, np.ndarray]:
    """`STATISTICS` where nothing was measured."""
    of_each = {"total": 0.0, "nonzero": 0.0, "missing": values, "largest": -np.inf, "smallest": np.inf}
    return {key: np.full(tracks, value, np.float64) for key, value in of_each.items()}


def _count(values: Shaped[np.ndarray, "row ... track"]) -> dict[str, np.ndarray]:
    # Reductions along memory are several times faster than across it.
    rows = np.ascontiguousarray(values.reshape(-1, values.shape[-1]).T, np.float32)
    missing = np.count_nonzero(np.isnan(rows), axis=1)
    largest = np.fmax.reduce(rows, axis=1, initial=-np.inf)
    smallest = np.fmin.reduce(rows, axis=1, initial=np.inf)
    if missing.any():
        rows = np.nan_to_num(rows, copy=False)
    return {
        "total": rows.sum(axis=1, dtype=np.float64),
        "nonzero": np.count_nonzero(rows, axis=1),
        "missing": missing,
        "largest": largest,
        "smallest": smallest,
    }
