"""The published model: its description, and its parameter tree to and from a checkpoint of this suite.

Source: spec/model.md sections 3.1 (heads), 4 (names and shapes) and 5 (files).
"""

import os
import pathlib

import jax
import numpy as np
from ag_core.array_file import require_finite
from ag_core.checkpoint import SPEC_FILE, array_names, check_arrays, open_checkpoint, outline, write
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.model import Model
from ag_core.model_spec import HeadSpec, ModelSpec
from ag_core.official import official_leaves, official_shape

from ag_heads.metadata import ORGANISMS, official_tracks
from ag_heads.orbax_files import OrbaxTree, write_tree

PREFIX = "alphagenome"
WINDOW = 1_048_576
# In the order of construction.
MODALITIES = (
    "atac",
    "dnase",
    "procap",
    "cage",
    "rna_seq",
    "chip_tf",
    "chip_histone",
    "contact_maps",
    "splice_sites",
    "splice_site_usage",
    "splice_junctions",
)
LICENCE = "LicenseRef-AlphaGenome-non-commercial"


def official_spec(name: str = "alphagenome", licence: str = LICENCE, notes: str = "") -> ModelSpec:
    """The published model: full sizes, eleven heads with its own track tables, human and mouse."""
    heads = {
        modality: HeadSpec(modality, tuple(official_tracks(modality, organism) for organism in ORGANISMS))
        for modality in MODALITIES
    }
    return ModelSpec(name, PRESETS["full"], heads, tuple(ORGANISMS), WINDOW, licence, notes)


def official_names(model: Model) -> dict[str, tuple[str, tuple[int, ...]]]:
    """For each official path, the array's name in our file and its official shape.

    Raises InputError when an array has no place in the official tree, or two have the same.
    """
    paths = {id(leaf): path for leaf, path in official_leaves(model, PREFIX)}
    names: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, leaf in array_names(model).items():
        path = paths.get(id(leaf))
        if path is None:
            raise InputError(f"the array {name} has no place in the official tree: its layer does not say which")
        if path in names:
            raise InputError(f"the arrays {names[path][0]} and {name} would both be {path} in the official tree")
        names[path] = (name, official_shape(path, leaf.shape))
    return names


def import_tree(source: str | os.PathLike, target: str | os.PathLike, spec: ModelSpec) -> str:
    """Writes the Orbax tree in `source` as a checkpoint in `target`; returns its digest.

    Strict: exactly the arrays that `spec` calls for, in the official shapes, float32 and finite. Raises InputError
    that names what is wrong; `target` then holds no checkpoint.
    """
    target = pathlib.Path(target)
    if (target / SPEC_FILE).exists():
        raise InputError(f"{target}: holds a checkpoint already; choose another folder or remove it")
    tree, model = OrbaxTree(pathlib.Path(source)), outline(spec)
    names, ours = official_names(model), array_names(model)
    check_arrays(
        {path: shape for path, (_, shape) in names.items()},
        tree.shapes,
        f"{source}: not the tree that this model needs ({len(names):,} arrays)",
    )
    arrays: dict[str, np.ndarray] = {}
    for path, (name, _) in names.items():
        arrays[name] = require_finite(tree.read(path), path, str(source)).reshape(ours[name].shape)
    return write(target, arrays, spec)


def export_tree(name: str | os.PathLike, target: str | os.PathLike) -> ModelSpec:
    """Writes a checkpoint (a folder or a named model) as an Orbax tree; returns its description.

    Raises InputError when an array has no place in the official tree.
    """
    with open_checkpoint(name) as (spec, _, arrays):
        model = outline(spec)
        check_arrays({n: leaf.shape for n, leaf in array_names(model).items()}, arrays.shapes, str(arrays.path))
        try:
            names = official_names(model)
        except InputError as error:
            raise InputError(f"model {spec.name!r} cannot be exported: {error}") from error
        tree = {path: jax.device_put(arrays.read(ours).reshape(shape)) for path, (ours, shape) in names.items()}
    write_tree(pathlib.Path(target), tree)
    return spec
