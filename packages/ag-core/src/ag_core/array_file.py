"""The arrays of a checkpoint on disk: one safetensors file of finite arrays, float32 or (half) float16, without copies.

Reading goes array by array (`pread`, not a memory map, whose pages would count twice), hashing in small pieces: a
model of 1.8 GB needs little more than its own size in memory.
"""

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Float

from ag_core.errors import InputError

STORED = ("F32", "F16")


class ArrayFile:
    """An open file: `shapes` of its arrays by name, and `read`."""

    def __init__(self, path: pathlib.Path, handle: Any):
        self.path, self._handle = path, handle
        self.shapes: dict[str, tuple[int, ...]] = {}
        for name in handle.keys():  # noqa: SIM118  (the handle is no mapping)
            entry = handle.get_slice(name)
            if entry.get_dtype() not in STORED:
                raise InputError(f"{path}: {name} is stored as {entry.get_dtype()}, expected {' or '.join(STORED)}")
            self.shapes[name] = tuple(entry.get_shape())

    def read(self, name: str) -> Float[np.ndarray, "..."]:
        """One array, float32. Raises InputError when it holds NaN or infinity."""
        return require_finite(self._handle.get_tensor(name), name, str(self.path)).astype(np.float32, copy=False)


def require_finite(array: Float[np.ndarray, "..."], name: str, source: str) -> Float[np.ndarray, "..."]:
    """Returns `array`; raises InputError that names it and counts what is not finite."""
    finite = np.isfinite(array)
    if not finite.all():
        bad = array.size - int(np.count_nonzero(finite))
        raise InputError(f"{source}: {name} holds {bad:,} of {array.size:,} values that are NaN or infinite")
    return array


@contextlib.contextmanager
def open_arrays(path: pathlib.Path) -> Iterator[ArrayFile]:
    """The arrays of a safetensors file. Raises InputError for a file of another kind, truncated or of other types."""
    try:
        handle = safetensors.safe_open(path, framework="np", backend="pread")
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file: {error}") from error
    with handle as opened:
        yield ArrayFile(path, opened)


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Float[np.ndarray, "..."]]) -> None:
    """Writes a safetensors file through to the disk; not in place: the caller renames it. float16 stays so."""
    # The library reads the buffers where they are, so they must be dense and stay alive until it is done.
    types = {name: np.float16 if array.dtype == np.float16 else np.float32 for name, array in arrays.items()}
    dense = {name: np.ascontiguousarray(array, types[name]).reshape(array.shape) for name, array in arrays.items()}
    safetensors.numpy.save_file(dense, path)
    sync(path)


def digest(description: bytes, path: pathlib.Path) -> str:
    """SHA-256, in hexadecimal, over a description and the bytes of a file after it."""
    hasher = hashlib.sha256(description)
    with path.open("rb") as file:
        hashlib.file_digest(file, lambda: hasher)
    return hasher.hexdigest()


def sync(path: pathlib.Path) -> None:
    """Waits until the system has put a file, or a folder's list of names, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
