"""A zarr store of predictions (zarr v3), written block by block; open it with `open_predictions` or with xarray.

Groups are those of `ag_data.export.tree`. Where there are many places, the columns of the track table are kept once,
on the modality's group, and `open_predictions` puts them back on each child. Chunks: `ag_data.zarr_layout`.

While it is written, the store lies in a work folder beside its place and is moved there when it is whole. Finished
places are listed in a journal, so that an interrupted run goes on where it stopped.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from ag_core.errors import InputError
from zarr.codecs import ZstdCodec

from ag_data.export.tree import (
    VARIABLES,
    Block,
    as_coordinates,
    chromosomes_of,
    interval_of,
    leaves,
    track_labels,
)
from ag_data.zarr_layout import LARGEST_HALF, chunk_and_shard, lock, sync, write_column, write_table

FORMAT = 1
DTYPES = ("float32", "float16")


class _Array:
    """A zarr array that takes float32 values and refuses what its type cannot hold."""

    def __init__(self, array: zarr.Array, name: str):
        self._array, self._name = array, name

    def __setitem__(self, key: Any, value: np.ndarray) -> None:
        if self._array.dtype == np.float16 and value.size:
            largest = float(np.max(np.abs(value), initial=0, where=np.isfinite(value)))
            if largest > LARGEST_HALF:
                raise InputError(
                    f"{self._name}: a predicted value of {largest:,.0f} does not fit float16 (at most 65,504); "
                    "write float32"
                )
        self._array[key] = value.astype(self._array.dtype, copy=False)


class StoreWriter:
    """Writes a store in `folder`, which also holds the journal and a lock; `fingerprint` tells runs apart.

    A folder left by an interrupted run with the same fingerprint is continued (`done`), any other is emptied. Raises
    InputError when another process is writing there.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        tables: Mapping[str, xr.Dataset],
        attrs: Mapping[str, Any],
        *,
        dtype: str = "float32",
        fingerprint: str,
    ):
        if dtype not in DTYPES:
            raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        self.folder, self.store, self.dtype = folder, folder / "store", dtype
        self._journal = folder / "journal.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock(folder / "lock")
        self.done = self._resume(fingerprint)
        self._any = bool(self.done)
        if self.done:
            return
        shutil.rmtree(self.store, ignore_errors=True)
        self._journal.unlink(missing_ok=True)
        root = {"format": FORMAT, "complete": False, **attrs}
        zarr.create_group(self.store, attributes=root, zarr_format=3)
        for modality, table in tables.items():
            write_table(zarr.open_group(self.store, path=modality, mode="a", zarr_format=3), as_coordinates(table))
        self._note({"fingerprint": fingerprint})

    def create(self, place: str, block: Block) -> _Array:
        """As `ag_data.export.tree.Writer.create`; what an interrupted run left of it is dropped."""
        name = "/".join(filter(None, (block.modality, place)))
        group = zarr.open_group(self.store, path=name, mode="a", zarr_format=3)
        chunks, shards = chunk_and_shard(block.shape, np.dtype(self.dtype).itemsize)
        array = group.create_array(
            block.variable,
            shape=block.shape,
            chunks=chunks,
            shards=shards,
            dtype=self.dtype,
            compressors=ZstdCodec(level=1),
            fill_value=float("nan"),
            dimension_names=block.dims,
            overwrite=True,
        )
        group.attrs.update(dict(block.attrs))
        if block.coords:
            array.attrs["coordinates"] = " ".join(block.coords)
            for key, column in block.coords.items():
                write_column(group, key, column, block.dims[0])
        return _Array(array, name)

    def close_place(self, place: str) -> None:
        """As `ag_data.export.tree.Writer.close_place`; from now on an interruption does not cost this place."""
        for modality in self.store.iterdir():
            sync(modality / place)
        self._note({"place": place})
        self._any = True

    @property
    def started(self) -> bool:
        """Whether some place is finished, now or by an earlier run."""
        return self._any

    def finish(self) -> pathlib.Path:
        """Marks the store as complete and returns where it lies, still in the work folder."""
        zarr.open_group(self.store, mode="r+").attrs["complete"] = True
        sync(self.store)
        return self.store

    def discard(self) -> None:
        """Removes the work folder."""
        self._lock()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Lets go of the work folder; what is finished stays for the next run."""
        self._lock()

    def _resume(self, fingerprint: str) -> frozenset[str]:
        """Places of an interrupted run with the same fingerprint; a line that was cut off does not count."""
        lines = []
        with contextlib.suppress(OSError, ValueError):
            for line in self._journal.read_text().splitlines():
                lines.append(json.loads(line))
        if not lines or lines[0].get("fingerprint") != fingerprint or not (self.store / "zarr.json").is_file():
            return frozenset()
        self._journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return frozenset(line["place"] for line in lines[1:])

    def _note(self, entry: Mapping[str, str]) -> None:
        with self._journal.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def open_predictions(path: str | os.PathLike[str]) -> xr.DataTree:
    """The tree in a store (see `ag_data.export.tree`); values are read when they are used.

    Raises InputError when there is none, or one that was not finished.
    """
    path = pathlib.Path(path)
    if not (path / "zarr.json").is_file():
        hint = "; its work folder is there: run the same command again to finish it"
        hint = hint if work_folder(path).exists() else ""
        raise InputError(
            f"{path} is no zarr store{hint or '; expected a folder made by `agenome predict -o NAME.zarr`'}"
        )
    try:
        attrs: dict[str, Any] = zarr.open_group(path, mode="r", zarr_format=3).attrs.asdict()
    except Exception as error:  # whatever json or zarr dislike
        raise InputError(f"{path} is damaged: {path / 'zarr.json'} is not readable ({error}); make it again") from error
    if "format" not in attrs or "complete" not in attrs:
        raise InputError(f"{path} is a zarr store, but not one of predictions; open it with xarray.open_datatree")
    if not isinstance(attrs["format"], int) or attrs["format"] > FORMAT:
        raise InputError(f"{path} has format {attrs['format']}, this ag-data reads up to {FORMAT}: upgrade ag-data")
    if not attrs["complete"]:
        raise InputError(f"{path} was not finished: run the same command again, or delete it")
    try:
        tree = open_tree(path)
        for _, _, dataset in leaves(tree):
            _check_leaf(dataset, chromosomes_of(tree))
    except Exception as error:  # whatever json, zarr, xarray and a codec dislike
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); make it again") from error
    return tree


def _check_leaf(dataset: xr.Dataset, chromosomes: Mapping[str, int]) -> None:
    """Raises ValueError or KeyError for a leaf that does not say what it covers and what its tracks are."""
    resolution = dataset.attrs["resolution"]
    if type(resolution) is not int or not 1 <= resolution < 1 << 40:
        raise ValueError(f"a resolution of {resolution!r}")
    for attribute in ("interval", "region"):
        if (interval := interval_of(dataset, attribute)).chromosome not in chromosomes:
            raise ValueError(f"{interval}, on a chromosome without a length")
    track_labels(dataset)


def open_tree(path: pathlib.Path) -> xr.DataTree:
    """As `open_predictions`, of a store that may not be complete."""
    # Format 3 alone: codecs of format 2 may run code.
    groups = xr.open_groups(path, engine="zarr", consolidated=False, chunks=None, zarr_format=3)
    datasets = {}
    for name, dataset in groups.items():
        parent = groups.get(str(pathlib.PurePosixPath(name).parent))
        if any(variable in dataset for variable in VARIABLES):
            table = dataset if "name" in dataset.variables or parent is None else parent
            columns = {key: value.variable for key, value in table.coords.items() if value.dims == ("track",)}
            dataset = dataset.assign_coords({key: x for key, x in columns.items() if key not in dataset.coords})
            text = {key: x for key, x in dataset.coords.items() if x.dtype.kind == "T"}
            datasets[name] = dataset.assign_coords({key: (x.dims, x.values.astype(object)) for key, x in text.items()})
    root = groups["/"].attrs
    ranks = [{name: rank for rank, name in enumerate(root.get(key, ()))} for key in ("modalities", "places")]

    def order(name: str) -> list[int]:
        return [rank.get(part, 0) for rank, part in zip(ranks, name.strip("/").split("/"), strict=False)]

    # Groups of a store come in no order.
    return xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs=root), **{name: datasets[name] for name in sorted(datasets, key=order)}}
    )


def work_folder(path: pathlib.Path) -> pathlib.Path:
    """Where the store lies while it is written."""
    return path.with_name(f"{path.name}.partial")
