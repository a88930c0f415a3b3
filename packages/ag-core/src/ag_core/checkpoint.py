"""Checkpoints to share: a folder with `model.json` (what it is) and `model.safetensors` (its arrays).

`model.json` holds the backbone's sizes, the heads (plugin name, options, track tables), organisms, window, licence
tag, and a SHA-256 digest over both files, so that a damaged or mixed-up checkpoint is refused, never scored with.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
import xarray as xr
from jaxtyping import Array, PRNGKeyArray, PyTree

from ag_core.backbone import Backbone
from ag_core.config import BackboneConfig
from ag_core.errors import InputError
from ag_core.interfaces import AbstractHead
from ag_core.layers import Constant
from ag_core.model import Model
from ag_core.plugins import PluginNotFoundError, registry
from ag_core.precision import Precision, cast
from ag_core.schema import track_table

FORMAT = 1
SPEC_FILE, ARRAY_FILE = "model.json", "model.safetensors"


@dataclasses.dataclass(frozen=True)
class HeadSpec:
    """How to build a head: the plugin's name, options beyond its defaults, a track table for each organism."""

    plugin: str
    tracks: tuple[xr.Dataset, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Everything about a model but its arrays. `window` is the input length in bp it was made for."""

    name: str
    backbone: BackboneConfig
    heads: Mapping[str, HeadSpec]
    organisms: tuple[str, ...]
    window: int
    licence: str
    notes: str = ""

    def organism(self, name: str | None = None) -> int:
        """Index of an organism (the first by default). Raises InputError for one the model does not know."""
        if name is None:
            return 0
        if name not in self.organisms:
            raise InputError(f"model {self.name!r} knows {', '.join(self.organisms)}, not {name!r}")
        return self.organisms.index(name)

    def tracks(self, modality: str, organism: int = 0) -> xr.Dataset:
        """Track table of a modality, padding included, with the modality in its attributes."""
        return self.heads[modality].tracks[organism].assign_attrs(modality=modality)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded model with what is known about it."""

    model: Model
    spec: ModelSpec
    digest: str


def _table_to_json(table: xr.Dataset) -> dict[str, list[Any]]:
    def plain(value):
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and np.isnan(value) else value

    return {str(key): [plain(value) for value in table[key].values] for key in table.data_vars}


def _table_from_json(columns: Mapping[str, list[Any]]) -> xr.Dataset:
    def typed(values):
        numeric = all(value is None or isinstance(value, int | float) for value in values)
        return [np.nan if value is None and numeric else "" if value is None else value for value in values]

    return track_table({key: typed(values) for key, values in columns.items()})


def spec_to_json(spec: ModelSpec) -> dict[str, Any]:
    """Plain data for `model.json`."""
    return {
        "format": FORMAT,
        "name": spec.name,
        "licence": spec.licence,
        "notes": spec.notes,
        "organisms": list(spec.organisms),
        "window": spec.window,
        "backbone": spec.backbone.to_dict(),
        "heads": {
            modality: {
                "plugin": head.plugin,
                "options": dict(head.options),
                "tracks": [_table_to_json(table) for table in head.tracks],
            }
            for modality, head in spec.heads.items()
        },
    }


def spec_from_json(data: Mapping[str, Any]) -> ModelSpec:
    """The inverse of `spec_to_json`."""
    if data["format"] > FORMAT:
        raise InputError(f"written in format {data['format']}, this ag-core reads up to {FORMAT}: upgrade ag-core")
    return ModelSpec(
        name=data["name"],
        backbone=BackboneConfig.from_dict(data["backbone"]),
        heads={
            modality: HeadSpec(head["plugin"], tuple(map(_table_from_json, head["tracks"])), head["options"])
            for modality, head in data["heads"].items()
        },
        organisms=tuple(data["organisms"]),
        window=data["window"],
        licence=data["licence"],
        notes=data["notes"],
    )


def build(spec: ModelSpec, *, key: PRNGKeyArray) -> Model:
    """A freshly initialised model. Raises InputError when a head's plugin is not installed."""
    heads: dict[str, AbstractHead] = {}
    keys = jax.random.split(key, len(spec.heads) + 1)
    for (modality, head), head_key in zip(spec.heads.items(), keys[1:], strict=True):
        try:
            heads[modality] = registry().create(
                "heads", head.plugin, head.tracks, spec.backbone.dims, key=head_key, **head.options
            )
        except PluginNotFoundError as error:
            raise InputError(f"model {spec.name!r} needs a head that is not installed: {error}") from error
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


def _named_arrays(model: PyTree) -> dict[str, Array | jax.ShapeDtypeStruct]:
    flat, _ = jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda leaf: isinstance(leaf, Constant))
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in flat
        if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)
    }


def _digest(data: Mapping[str, Any], array_bytes: bytes) -> str:
    content = {key: value for key, value in data.items() if key != "digest"}
    hasher = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    hasher.update(array_bytes)
    return hasher.hexdigest()


def save(folder: str | os.PathLike, model: Model, spec: ModelSpec) -> str:
    """Writes a checkpoint (float32) and returns its digest; each file appears complete or not at all."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(array, np.float32) for name, array in _named_arrays(model).items()}
    array_bytes = safetensors.numpy.save(arrays)
    data = spec_to_json(spec)
    data["digest"] = _digest(data, array_bytes)
    for name, content in ((ARRAY_FILE, array_bytes), (SPEC_FILE, json.dumps(data, indent=1).encode())):
        temporary = folder / f".{name}.tmp"
        temporary.write_bytes(content)
        temporary.replace(folder / name)
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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: damaged or not a model description: {error!r}; fetch the checkpoint again"
        raise InputError(message) from error


def load(name: str | os.PathLike, *, precision: Precision | str = Precision.FLOAT32) -> Checkpoint:
    """Loads a checkpoint, checked against its digest and its own description, ready for inference.

    Raises InputError that names the file and what is wrong with it.
    """
    folder = find(name)
    spec, data = read_spec(folder)
    path = folder / ARRAY_FILE
    try:
        array_bytes = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no {ARRAY_FILE} beside {SPEC_FILE}; fetch the checkpoint again") from error
    if _digest(data, array_bytes) != data.get("digest"):
        raise InputError(
            f"{path}: content does not match the digest in {SPEC_FILE}: damaged, or from another checkpoint; "
            "fetch both files again"
        )
    try:
        arrays = safetensors.numpy.load(array_bytes)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file: {error}") from error
    return Checkpoint(cast(fill(outline(spec), arrays, str(path)), precision), spec, data["digest"])


def fill(model: Model, arrays: Mapping[str, np.ndarray], source: str) -> Model:
    """`model` (or its outline) with its arrays replaced by name.

    Raises InputError listing what is missing, extra or misshapen.
    """
    expected = _named_arrays(model)
    problems = [f"missing {name}" for name in sorted(set(expected) - set(arrays))]
    problems += [f"unexpected {name}" for name in sorted(set(arrays) - set(expected))]
    problems += [
        f"{name} is {arrays[name].shape}, expected {expected[name].shape}"
        for name in sorted(set(arrays) & set(expected))
        if arrays[name].shape != expected[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise InputError(f"{source}: arrays do not fit the heads and sizes in {SPEC_FILE}: {shown}")
    flat, structure = jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda leaf: isinstance(leaf, Constant))
    leaves = []
    for path, leaf in flat:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        leaves.append(jnp.asarray(arrays[name], leaf.dtype) if name in expected else leaf)
    return jax.tree_util.tree_unflatten(structure, leaves)
