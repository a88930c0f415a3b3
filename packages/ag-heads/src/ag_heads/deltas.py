"""What a fine-tuned model differs in from the one it started from: `delta.json` and `delta.safetensors`.

A delta names its base by digest, so that it is never put on another one.
"""

import json
import os
import pathlib

import numpy as np
from ag_core.array_file import digest, open_arrays, sync, write_arrays
from ag_core.checkpoint import array_names, open_checkpoint, outline, write
from ag_core.errors import InputError
from ag_core.model import Model
from ag_core.model_spec import ModelSpec, spec_from_json, spec_to_json

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


def apply_delta(folder: str | os.PathLike, base: str, out: str | os.PathLike) -> ModelSpec:
    """Writes the whole checkpoint that a delta and its base make.

    Raises InputError for a delta that is damaged, and for another base than it was made from.
    """
    folder = pathlib.Path(folder)
    try:
        about = json.loads((folder / DELTA_FILE).read_text())
        expected = about.pop("digest")
        spec, wanted = spec_from_json(about["spec"]), about["base"]
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no {DELTA_FILE}; is this the folder of a delta?") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / DELTA_FILE}: damaged or no description of a delta: {error!r}") from error
    path = folder / ARRAY_FILE
    if not path.exists() or digest(json.dumps(about, sort_keys=True).encode(), path) != expected:
        raise InputError(f"{path}: missing or damaged; fetch both files of the delta again")
    with open_checkpoint(base) as (base_spec, base_digest, arrays), open_arrays(path) as changed:
        if base_digest != wanted["digest"]:
            raise InputError(
                f"{folder} was made from {wanted['name']!r} with the digest {wanted['digest'][:12]}, but {base} is "
                f"{base_spec.name!r} with {base_digest[:12]}; give that model with --base"
            )
        shapes = {name: leaf.shape for name, leaf in array_names(outline(spec)).items()}
        if missing := [name for name in shapes if name not in {**arrays.shapes, **changed.shapes}]:
            raise InputError(f"{folder} and {base} lack {', '.join(missing[:4])}; the delta is of another base")
        write(out, {name: (changed if name in changed.shapes else arrays).read(name) for name in shapes}, spec)
    return spec
