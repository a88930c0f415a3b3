"""What a fine-tuned model differs in from the one it started from: `delta.json` and `delta.safetensors`.

A delta names its base by digest, so that it is never put on another one.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from ag_core.array_file import ArrayFile, digest, open_arrays, sync, write_arrays
from ag_core.checkpoint import array_names, open_checkpoint, outline, write
from ag_core.errors import InputError
from ag_core.model import Model
from ag_core.model_spec import ModelSpec, spec_from_json, spec_to_json

from ag_heads.trained_on import unite

DELTA_FILE, ARRAY_FILE = "delta.json", "delta.safetensors"
FORMAT = 1


def write_delta(folder: str | os.PathLike, base: str, model: Model, spec: ModelSpec) -> int:
    """Writes the arrays of `model` that the checkpoint `base` has not, or has with other values; returns their bytes.

    Raises InputError when `base` is no checkpoint.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    changed = {}
    with open_checkpoint(base) as (base_spec, base_digest, arrays):
        for name, array in array_names(model).items():
            values = np.asarray(array, np.float32)
            if arrays.shapes.get(name) != values.shape or not np.array_equal(arrays.read(name), values):
                changed[name] = values
    temporary = folder / f".{ARRAY_FILE}.tmp"
    write_arrays(temporary, changed)
    about = {"format": FORMAT, "base": {"name": base_spec.name, "digest": base_digest}, "spec": spec_to_json(spec)}
    about["digest"] = digest(json.dumps(about, sort_keys=True).encode(), temporary)
    description = folder / f".{DELTA_FILE}.tmp"
    description.write_text(json.dumps(about, indent=1))
    sync(description)
    temporary.replace(folder / ARRAY_FILE)
    description.replace(folder / DELTA_FILE)
    return sum(values.nbytes for values in changed.values())


def apply_deltas(
    folders: Sequence[str | os.PathLike], base: str, out: str | os.PathLike, name: str | None = None
) -> ModelSpec:
    """Writes the whole checkpoint that deltas and their base make, called `name` or after the deltas.

    Several must have left the backbone as it was: their heads then stand side by side on it, and one pass through it
    serves all. Raises InputError for a delta that is damaged, for another base than it was made from, and for deltas
    that cannot be put together.
    """
    opened = [(pathlib.Path(folder), *_read_delta(pathlib.Path(folder))) for folder in folders]
    spec = _unite([(folder, spec) for folder, spec, _ in opened], name)
    with contextlib.ExitStack() as stack:
        base_spec, base_digest, arrays = stack.enter_context(open_checkpoint(base))
        sources: dict[str, ArrayFile] = {}
        for folder, _, wanted in opened:
            if base_digest != wanted["digest"]:
                raise InputError(
                    f"{folder} was made from {wanted['name']!r} with the digest {wanted['digest'][:12]}, but {base} is "
                    f"{base_spec.name!r} with {base_digest[:12]}; give that model with --base"
                )
            changed = stack.enter_context(open_arrays(folder / ARRAY_FILE))
            moved = [array for array in changed.shapes if not array.startswith("heads.")]
            if moved and len(opened) > 1:
                raise InputError(
                    f"{folder} changes the backbone ({len(moved)} arrays, such as {moved[0]}), which others do not "
                    "share; only heads on the same frozen backbone can be put together"
                )
            sources |= dict.fromkeys(changed.shapes, changed)
        shapes = {array: leaf.shape for array, leaf in array_names(outline(spec)).items()}
        if missing := [array for array in shapes if array not in {**arrays.shapes, **sources}]:
            raise InputError(f"{folders[0]} and {base} lack {', '.join(missing[:4])}; the delta is of another base")
        write(out, {array: sources.get(array, arrays).read(array) for array in shapes}, spec)
    return spec


def _read_delta(folder: pathlib.Path) -> tuple[ModelSpec, dict[str, str]]:
    """The model that a delta makes, and the name and digest of its base."""
    try:
        about = json.loads((folder / DELTA_FILE).read_text())
        expected = about.pop("digest")
        spec, wanted = spec_from_json(about["spec"]), about["base"]
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no {DELTA_FILE}; is this the folder of a delta?") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"{folder / DELTA_FILE}: damaged or no description of a delta: {error!r}") from error
    path = folder / ARRAY_FILE
    if not path.exists() or digest(json.dumps(about, sort_keys=True).encode(), path) != expected:
        raise InputError(f"{path}: missing or damaged; fetch both files of the delta again")
    return spec, wanted


def _unite(deltas: Sequence[tuple[pathlib.Path, ModelSpec]], name: str | None) -> ModelSpec:
    """One description for the heads of all."""
    (first, spec), *others = deltas
    heads, licences = dict(spec.heads), [spec.licence]
    for folder, other in others:
        if (other.organisms, other.window) != (spec.organisms, spec.window):
            raise InputError(f"{first} and {folder} are models of other organisms or windows")
        if both := sorted(set(heads) & set(other.heads)):
            raise InputError(
                f"{folder}: an earlier delta has a head {both[0]!r}, too; give the modality a name of its own in the "
                f"manifest, and its plugin to fine-tuning: --head NAME={other.heads[both[0]].plugin}"
            )
        heads |= other.heads
        if other.licence not in licences:
            licences.append(other.licence)
    name = name or "+".join(dict.fromkeys(other.name for _, other in deltas))
    seen = unite(each.trained_on for _, each in deltas)
    return dataclasses.replace(spec, name=name, heads=heads, licence=" AND ".join(licences), trained_on=seen)
