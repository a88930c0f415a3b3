"""Checkpoints to share: a folder with `model.json` (what it is) and `model.safetensors` (its arrays).

`model.json` holds the backbone's sizes, the heads (plugin name, options, track tables), organisms, window, licence
tag, and a SHA-256 digest over both files, so that a damaged or mixed-up checkpoint is refused, never scored with.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ag_core.array_file import ArrayFile, digest, open_arrays, sync, write_arrays
from ag_core.backbone import Backbone
from ag_core.errors import InputError
from ag_core.interfaces import AbstractHead
from ag_core.layers import Constant
from ag_core.model import Model
from ag_core.model_spec import HeadSpec as HeadSpec
from ag_core.model_spec import ModelSpec, spec_from_json, spec_to_json
from ag_core.plugins import PluginNotFoundError, registry
from ag_core.precision import Precision

SPEC_FILE, ARRAY_FILE = "model.json", "model.safetensors"
# How many names of wrong arrays a message shows of each kind.
SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded model with what is known about it."""

    model: Model
    spec: ModelSpec
    digest: str


def build(spec: ModelSpec, *, key: PRNGKeyArray) -> Model:
    """A freshly initialised model. Raises InputError when a head's plugin is not installed or refuses its tracks."""
    heads: dict[str, AbstractHead] = {}
    keys = jax.random.split(key, len(spec.heads) + 1)
    for (modality, head), head_key in zip(spec.heads.items(), keys[1:], strict=True):
        try:
            heads[modality] = registry().create(
                "heads", head.plugin, head.tracks, spec.backbone.dims, key=head_key, **head.options
            )
        except PluginNotFoundError as error:
            raise InputError(f"model {spec.name!r} needs a head that is not installed: {error}") from error
        except (ValueError, TypeError, LookupError) as error:
            raise InputError(
                f"model {spec.name!r}: head {modality!r} does not take its description: {error}"
            ) from error
    return Model(Backbone(spec.backbone, key=keys[0]), heads)


def outline(spec: ModelSpec) -> Model:
    """The model with shapes in place of arrays, but real constants: no weight is drawn, which would take long."""

    def make() -> Model:
        return build(spec, key=jax.random.key(0))

    def constants(tree: PyTree) -> list[Constant]:
        leaves = jax.tree.leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Constant))
        return [leaf for leaf in leaves if isinstance(leaf, Constant)]

    shapes = eqx.filter_eval_shape(make)
    if not constants(shapes):
        return shapes
    # The compiler drops the draws, whose results nobody reads.
    return eqx.tree_at(constants, shapes, replace=jax.jit(lambda: constants(make()))())


def array_name(path: Any) -> str:
    """The name in the file of the array at a key path of jax."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def array_names(model: PyTree) -> dict[str, Array | jax.ShapeDtypeStruct]:
    """The arrays of a model (or of its outline) by their names in the file; constants are not among them."""
    flat, _ = jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda leaf: isinstance(leaf, Constant))
    return {array_name(path): leaf for path, leaf in flat if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)}


def _digest(data: Mapping[str, Any], path: pathlib.Path) -> str:
    content = {key: value for key, value in data.items() if key != "digest"}
    return digest(json.dumps(content, sort_keys=True).encode(), path)


def save(folder: str | os.PathLike, model: Model, spec: ModelSpec, *, half: bool = False) -> str:
    """Writes a checkpoint (float32) and returns its digest; each file appears complete or not at all.

    With `half`, matrices and kernels are rounded to float16, for half the size; they are float32 again when loaded.
    """
    arrays = {name: np.asarray(array, np.float32) for name, array in array_names(model).items()}
    if half:
        # Vectors (biases, moments, which may be tiny) take no room; what float16 cannot hold stays as it is.
        fits = {name for name, array in arrays.items() if array.ndim > 1 and np.abs(array).max(initial=0) < 60_000}
        arrays = {name: array.astype(np.float16) if name in fits else array for name, array in arrays.items()}
    return write(folder, arrays, spec)


def write(folder: str | os.PathLike, arrays: Mapping[str, Float[np.ndarray, "..."]], spec: ModelSpec) -> str:
    """Writes a checkpoint from arrays by name (see `array_names`) and returns its digest.

    Whatever interrupts it, the folder holds the checkpoint of before, one that `load` refuses, or the new one.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = {name: folder / f".{name}.tmp" for name in (ARRAY_FILE, SPEC_FILE)}
    try:
        write_arrays(temporary[ARRAY_FILE], arrays)
        data = spec_to_json(spec)
        data["digest"] = _digest(data, temporary[ARRAY_FILE])
        temporary[SPEC_FILE].write_text(json.dumps(data, indent=1))
        sync(temporary[SPEC_FILE])
        for name, path in temporary.items():
            path.replace(folder / name)
        sync(folder)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return data["digest"]


def find(name: str | os.PathLike) -> pathlib.Path:
    """The folder of a checkpoint: a path, or the name of an `ag_models` plugin."""
    folder = pathlib.Path(name)
    if folder.is_dir():
        return folder
    try:
        return pathlib.Path(registry().create("models", str(name)))
    except PluginNotFoundError as error:
        raise InputError(f"{name}: neither a checkpoint folder nor a named model: {error}") from error


def read_spec(folder: pathlib.Path) -> tuple[ModelSpec, dict[str, Any]]:
    """What a checkpoint says about itself, parsed and raw."""
    path = folder / SPEC_FILE
    try:
        data = json.loads(path.read_text())
        return spec_from_json(data), data
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no {SPEC_FILE}; is this a checkpoint folder?") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        message = f"{path}: damaged or not a model description: {error!r}; fetch the checkpoint again"
        raise InputError(message) from error


@contextlib.contextmanager
def open_checkpoint(name: str | os.PathLike) -> Iterator[tuple[ModelSpec, str, ArrayFile]]:
    """Description, digest and open arrays of a checkpoint, once the digest has been checked.

    Raises InputError that names the file and what is wrong with it.
    """
    folder = find(name)
    spec, data = read_spec(folder)
    path = folder / ARRAY_FILE
    try:
        found = _digest(data, path)
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no {ARRAY_FILE} beside {SPEC_FILE}; fetch the checkpoint again") from error
    if found != data.get("digest"):
        raise InputError(
            f"{path}: content does not match the digest in {SPEC_FILE}: damaged, or from another checkpoint; "
            "fetch both files again"
        )
    with open_arrays(path) as arrays:
        yield spec, found, arrays


def load(name: str | os.PathLike, *, precision: Precision | str = Precision.FLOAT32) -> Checkpoint:
    """Loads a checkpoint, checked against its digest and its own description, ready for inference.

    Arrays are read, checked and cast one at a time, so that memory holds hardly more than the model.
    Raises InputError that names the file and what is wrong with it, an array with NaN or infinity included.
    """
    precision = Precision(precision)
    with open_checkpoint(name) as (spec, found, arrays):
        try:
            shapes = outline(spec)
        except InputError as error:
            raise InputError(f"{arrays.path.with_name(SPEC_FILE)}: {error}") from error
        return Checkpoint(fill(shapes, arrays, precision), spec, found)


def check_arrays(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Compares names and shapes. Raises InputError listing what is missing, extra or misshapen."""
    both = sorted(set(found) & set(expected))
    problems = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "wrong shape": [
            f"{name} is {found[name]}, expected {expected[name]}" for name in both if found[name] != expected[name]
        ],
    }
    shown = []
    for kind, names in problems.items():
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            shown.append(f"{kind}: {', '.join(names[:SHOWN])}{more}")
    if shown:
        raise InputError(f"{source}: {'; '.join(shown)}")


def fill(model: Model, arrays: ArrayFile, precision: Precision = Precision.FLOAT32) -> Model:
    """`model` (or its outline) with its arrays replaced by name and cast.

    Raises InputError listing what is missing, extra or misshapen.
    """
    expected = {name: leaf.shape for name, leaf in array_names(model).items()}
    source = f"{arrays.path}: arrays do not fit the heads and sizes in {SPEC_FILE}"
    check_arrays(expected, arrays.shapes, source)
    flat, structure = jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda leaf: isinstance(leaf, Constant))
    leaves = []
    for path, leaf in flat:
        name = array_name(path)
        if name in expected:
            dtype = precision.value if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf.dtype
            # Cast before it reaches the device, and wait: else copies of many arrays pile up. `jnp.asarray` would
            # compile a program for each shape.
            array = arrays.read(name).astype(dtype, copy=False)
            leaf = jax.block_until_ready(jax.device_put(array, may_alias=False))
        leaves.append(leaf)
    return jax.tree_util.tree_unflatten(structure, leaves)
