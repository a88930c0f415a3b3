"""How arrays lie in our zarr v3 stores, and what keeps a store whole: shards, text columns, fsync, a lock.

All tracks of a modality are in each chunk (1-2 MiB), chunks are gathered in shards of up to 64 MiB, zstd level 1.
"""

import math
import os
import pathlib
from collections.abc import Callable

import numpy as np
import xarray as xr
import zarr
from ag_core.errors import InputError

LARGEST_HALF = float(np.finfo(np.float16).max)
_CHUNK, _SHARD = 1 << 20, 1 << 26  # bytes


def chunk_and_shard(
    shape: tuple[int, ...], itemsize: int, most: int | None = None
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Chunks cut the first dimension only, into powers of two; None where one shard would hold a single chunk.

    A chunk has at most `most` rows: one that is longer than what is read of it is decoded in vain.
    """
    first, *rest = (max(1, size) for size in shape)
    row = math.prod(rest) * itemsize
    chunk = 1 << max(0, (2 * _CHUNK // row).bit_length() - 1)
    if most is not None:
        chunk = min(chunk, 1 << (most.bit_length() - 1))
    if chunk >= first:
        return (first, *rest), None
    shard = chunk * max(1, min(_SHARD // (chunk * row), -(-first // chunk)))
    return (chunk, *rest), ((shard, *rest) if shard > chunk else None)


def write_column(group: zarr.Group, name: str, column: np.ndarray, dim: str) -> None:
    """Text has no length limit in the file, and no warning of zarr's about that."""
    if column.dtype.kind in "OUST":
        column = column.astype(str).astype(np.dtypes.StringDType())
    chunks = (max(1, len(column)),)
    array = group.create_array(
        name, shape=column.shape, chunks=chunks, dtype=column.dtype, dimension_names=(dim,), overwrite=True
    )
    array[:] = column


def write_table(group: zarr.Group, table: xr.Dataset) -> None:
    """A track table on its modality's group; each column is a coordinate."""
    for name, column in table.variables.items():
        write_column(group, str(name), column.values, "track")
    group.attrs["coordinates"] = " ".join(str(name) for name in table.variables if name != "track")


def sync(path: pathlib.Path) -> None:
    """Makes sure that files are on the disk before anything says so."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def lock(path: pathlib.Path) -> Callable[[], None]:
    """Keeps other processes out of a work folder until the returned function is called (or this process ends)."""
    try:
        import fcntl
    except ImportError:  # Windows
        return lambda: None
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InputError(f"{path.parent} is in use: another run writes the same output; wait for it") from error
    return file.close
