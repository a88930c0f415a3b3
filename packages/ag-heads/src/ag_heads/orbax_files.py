"""Orbax folders with a 2-tuple (parameters, state) of {module path: {name: array}}. Source: spec/model.md section 5.

Written by orbax itself. Read with tensorstore, the library below it, array by array: restoring everything at once
needs the memory twice, and on a damaged folder leaves errors behind in other threads.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from ag_core.errors import InputError
from ag_core.official import MOMENT
from jaxtyping import Array, Float

METADATA = "_METADATA"
INSTALL = 'pip install "ag-heads[official]"'
# Nodes without data, such as the state of a module that has none.
_EMPTY = ("None", "Dict", "List", "Tuple", "NamedTuple")
_CACHE_BYTES = 100_000_000


class OrbaxTree:
    """The arrays of an Orbax folder by official path ("module path/name"): `shapes`, and `read`.

    Opening raises InputError for anything that is not such a folder or lacks parts of one.
    """

    def __init__(self, folder: pathlib.Path):
        tensorstore = _library("tensorstore")
        self.folder = folder
        description = _description(folder)
        context = tensorstore.Context({"cache_pool#ocdbt": {"total_bytes_limit": _CACHE_BYTES}})
        keys = _keys(folder, description)
        opening = {
            path: tensorstore.open(_location(folder, description, key), context=context, open=True, read=True)
            for path, key in keys.items()
        }
        self._arrays = {path: self._result(path, future) for path, future in opening.items()}
        self.shapes: dict[str, tuple[int, ...]] = {path: tuple(a.shape) for path, a in self._arrays.items()}
        for path, array in self._arrays.items():
            if array.dtype.name != "float32":
                raise InputError(f"{folder}: {path} is stored as {array.dtype.name}, expected float32")

    def read(self, path: str) -> Float[np.ndarray, "..."]:
        """One array, float32. Raises InputError when its data are missing or damaged."""
        return np.asarray(self._result(path, self._arrays[path].read()))

    def _result(self, path: str, future: Any) -> Any:
        try:
            return future.result()
        except (ValueError, KeyError, OSError, RuntimeError) as error:
            reason = str(error).partition(" [")[0]  # what follows is the whole specification of the array
            raise InputError(
                f"{self.folder}: cannot read {path}: incomplete or damaged, fetch it again ({reason})"
            ) from error


def _library(name: str) -> Any:
    try:
        if name == "tensorstore":
            import tensorstore

            return tensorstore
        import orbax.checkpoint

        return orbax.checkpoint
    except ImportError as error:
        raise InputError(f"official checkpoints need {name}, which is not installed: {INSTALL}") from error


def _description(folder: pathlib.Path) -> dict[str, Any]:
    if not folder.exists():
        raise InputError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected the folder of an Orbax checkpoint; unpack it first")
    path = folder / METADATA
    if not path.is_file():
        inside = sorted(p.parent.relative_to(folder) for p in folder.glob(f"*/{METADATA}"))
        hint = f"did you mean {folder / inside[0]}?" if inside else "expected the folder of an Orbax checkpoint"
        raise InputError(f"{folder}: no {METADATA} in it; {hint}")
    try:
        description = json.loads(path.read_text())
        description["tree_metadata"].values()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged or not written by Orbax: {error!r}; fetch it again") from error
    return description


def _keys(folder: pathlib.Path, description: Mapping[str, Any]) -> dict[str, list[str]]:
    """The keys of every array by official path."""
    keys: dict[str, list[str]] = {}
    for text, entry in description["tree_metadata"].items():
        try:
            kind = entry["value_metadata"]["value_type"]
            key = [str(part["key"]) for part in entry["key_metadata"]]
        except (KeyError, TypeError) as error:
            raise InputError(f"{folder / METADATA}: damaged entry {text}: {error!r}; fetch it again") from error
        if kind in _EMPTY:
            continue
        if len(key) != 3 or key[0] not in ("0", "1"):
            raise InputError(
                f"{folder}: {text} is no part of a pair (parameters, state) of {{module: {{name: array}}}}: "
                "is this the checkpoint of another model?"
            )
        path = f"{key[1]}/{key[2]}"
        if (key[0] == "1") != (key[2] == MOMENT):
            raise InputError(f"{folder}: {path} is among the {('parameters', 'state')[int(key[0])]}, unlike officially")
        keys[path] = key
    return keys


def _location(folder: pathlib.Path, description: Mapping[str, Any], key: list[str]) -> dict[str, Any]:
    base = {"driver": "file", "path": f"{folder.resolve()}/"}
    name = ".".join(key) + "/"
    if description.get("use_ocdbt", (folder / "manifest.ocdbt").exists()):
        store = {"driver": "ocdbt", "base": base, "path": name, "cache_pool": "cache_pool#ocdbt"}
    else:
        store = base | {"path": base["path"] + name}
    # A chunk that is not there must not read as zeros.
    return {
        "driver": "zarr3" if description.get("use_zarr3") else "zarr",
        "kvstore": store,
        "fill_missing_data_reads": False,
    }


def write_tree(folder: pathlib.Path, arrays: Mapping[str, Float[Array, "..."]]) -> None:
    """Writes arrays by official path as an Orbax folder, which appears when it is complete.

    Raises InputError when there is something at `folder` already.
    """
    orbax = _library("orbax-checkpoint")
    if folder.exists():
        raise InputError(f"{folder}: exists already; choose another name or remove it")
    parameters: dict[str, dict[str, Array]] = {}
    state: dict[str, dict[str, Array]] = {}
    for path, array in arrays.items():
        module, _, name = path.rpartition("/")
        (state if name == MOMENT else parameters).setdefault(module, {})[name] = array
    folder.parent.mkdir(parents=True, exist_ok=True)
    # As jax arrays, synchronously and a little at a time: the common way copies everything twice more.
    handler = orbax.StandardCheckpointHandler(save_concurrent_gb=1)
    with orbax.Checkpointer(handler) as checkpointer:
        checkpointer.save(folder.resolve(), args=orbax.args.StandardSave((parameters, state)))
