"""The mean of the weights of models that started from one (model soups, Wortsman et al. 2022): often the best."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from ag_core.array_file import ArrayFile
from ag_core.checkpoint import ModelSpec, open_checkpoint, write
from ag_core.errors import InputError
from ag_core.model_spec import spec_to_json

from ag_heads.trained_on import unite

# What models that are averaged may differ in.
FREE = ("name", "notes", "trained_on")


def average(models: Sequence[str | os.PathLike], out: pathlib.Path, name: str | None = None) -> ModelSpec:
    """Writes the checkpoint `out`, described as the first of `models` is, with what any of them was trained on.

    Raises InputError for fewer than two, and for models with other sizes, heads, tracks or licences.
    """
    if len(models) < 2:
        raise InputError("a mean needs two models or more")
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(open_checkpoint(model)) for model in models]
        first, _, arrays = found[0]
        for spec, _, other in found[1:]:
            one, two = (
                {key: value for key, value in spec_to_json(each).items() if key not in FREE} for each in (first, spec)
            )
            if different := [key for key in one if one[key] != two.get(key)] or arrays.shapes != other.shapes:
                what = ", ".join(different) if isinstance(different, list) else "arrays"
                raise InputError(f"{other.path.parent} differs from {arrays.path.parent} in {what}: no mean of them")
        means = {key: _mean(key, [each for _, _, each in found]) for key in arrays.shapes}
        seen = unite([spec.trained_on for spec, _, _ in found])
    spec = dataclasses.replace(first, name=name or first.name, trained_on=seen)
    write(out, means, spec)
    return spec


def _mean(name: str, files: Sequence[ArrayFile]) -> np.ndarray:
    return np.asarray(np.mean([each.read(name) for each in files], axis=0, dtype=np.float64), np.float32)
