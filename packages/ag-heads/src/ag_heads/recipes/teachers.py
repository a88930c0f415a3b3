"""Who a student learns from: checkpoints of this suite, or any function from sequences to predictions."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.interfaces import AbstractHead, Predictions, Teachable
from ag_core.model import Model
from ag_core.sequence import one_hot
from ag_data.layouts.slots import track_keys
from jaxtyping import Array, Int, UInt8

# Licences whose terms forbid to train other models on what a model puts out.
FORBIDDEN = ("LicenseRef-AlphaGenome",)
# Usage is measured at sites alone: what a teacher says of it elsewhere is no knowledge, and there is much of it.
LIKELY_SITE = 0.05
Tables = Mapping[str, tuple[xr.Dataset, ...]]


@runtime_checkable
class Teacher(Protocol):
    """Predicts what students learn: `tables` are its tracks, one table for each of `organisms`."""

    name: str
    licence: str
    organisms: tuple[str, ...]
    tables: Tables

    def __call__(
        self, codes: UInt8[Array | np.ndarray, "batch position"], organism: Int[Array | np.ndarray, " batch"]
    ) -> dict[str, Predictions]:
        """Predictions of each modality (batched), as a head of the suite names them."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class FunctionTeacher:
    """Any function as a teacher: it gets base codes (0..4) and organism numbers as numpy arrays.

    `trained_on`: as in `ModelSpec`. It returns for each modality what the head's `output` is ([batch, position, track]
    and so on), in experimental units; `tables` say what the tracks are.
    """

    name: str
    licence: str
    organisms: tuple[str, ...]
    tables: Tables
    function: Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
    trained_on: Mapping[str, tuple[str, ...]] | None = None

    def __call__(self, codes: Array | np.ndarray, organism: Array | np.ndarray) -> dict[str, Predictions]:
        """The function's arrays, under the names that heads use."""
        return {
            modality: {"output": jnp.asarray(array)}
            for modality, array in self.function(np.asarray(codes), np.asarray(organism)).items()
        }


class CheckpointTeacher:
    """A model of this suite."""

    def __init__(self, name: str):
        loaded = load(name)
        self.name, self.licence, self.organisms = loaded.spec.name, loaded.spec.licence, loaded.spec.organisms
        self.spec, self.model, self.trained_on = loaded.spec, loaded.model, loaded.spec.trained_on
        self.tables = {modality: head.tracks for modality, head in loaded.spec.heads.items()}

    def __call__(self, codes: Array | np.ndarray, organism: Array | np.ndarray) -> dict[str, Predictions]:
        """The model's predictions."""
        return _predict(self.model, codes, organism)


@eqx.filter_jit
def _predict(model: Model, codes: Array | np.ndarray, organism: Array | np.ndarray) -> dict[str, Predictions]:
    predictions = model(one_hot(codes), jnp.asarray(organism))
    return {name: {**found, "output": jax.vmap(model.heads[name].output)(found)} for name, found in predictions.items()}


def check_teachers(teachers: Sequence[Teacher], modalities: Sequence[str]) -> None:
    """Raises InputError for a teacher whose licence forbids it, one that lacks a modality, and for unlike tracks."""
    for teacher in teachers:
        if teacher.licence.startswith(FORBIDDEN):
            raise InputError(
                f"teacher {teacher.name!r} has the licence {teacher.licence}, whose terms forbid to train other models "
                "on its predictions; distil from models of your own"
            )
        if missing := [name for name in modalities if name not in teacher.tables]:
            raise InputError(f"teacher {teacher.name!r} does not predict {', '.join(missing)}")
        for name in modalities:
            own, first = (_names(each.tables[name]) for each in (teacher, teachers[0]))
            if own != first or teacher.organisms != teachers[0].organisms:
                raise InputError(
                    f"teachers {teachers[0].name!r} and {teacher.name!r} have different tracks of {name}; teachers of "
                    "one student predict the same tracks for the same organisms"
                )


def make_targets(
    heads: Mapping[str, AbstractHead], teachers: Sequence[Teacher], modalities: Sequence[str], batch: Any
) -> dict[str, dict[str, Array]]:
    """Targets of a student's heads for a batch's sequences: the mean over `teachers`.

    Raises InputError for a teacher whose predictions have not its sequences and tracks, and for teachers that differ.
    """
    targets: dict[str, dict[str, Array]] = {}
    found = [teacher(batch["codes"], batch["organism"]) for teacher in teachers]
    for teacher, own in zip(teachers, found, strict=True):
        for name in modalities:
            shape, tracks = np.shape(own[name]["output"]), teacher.tables[name][0].sizes["track"]
            # Junctions have each track on both strands.
            if len(shape) < 3 or shape[0] != len(batch["codes"]) or shape[-1] not in (tracks, 2 * tracks):
                raise InputError(
                    f"teacher {teacher.name!r} predicts {name} as {shape}; expected {len(batch['codes'])} sequences "
                    f"first and its {tracks} tracks last"
                )
    for name in modalities:
        head = heads[name]
        if not isinstance(head, Teachable):
            raise InputError(f"head {name!r} cannot learn from a teacher; leave it out of the student")
        each = [head.taught(own[name]) for own in found]
        shapes = {key: [np.shape(one[key]) for one in each] for key in each[0]}
        for key, seen in shapes.items():
            if len(set(seen)) > 1:
                raise InputError(
                    f"{name}: teachers {', '.join(t.name for t in teachers)} give {key} of shapes "
                    f"{', '.join(map(str, seen))}; they must be alike"
                )
        targets[name] = jax.tree.map(lambda *values: sum(values) / len(values), *each) if len(each) > 1 else each[0]
    if {"splice_sites", "splice_site_usage"} <= set(targets):
        likely = jnp.max(targets["splice_sites"]["classes"][..., :4], axis=-1, keepdims=True) >= LIKELY_SITE
        usage = targets["splice_site_usage"]
        usage["usage"] = jnp.where(likely, usage["usage"], jnp.nan)
    return targets


def _names(tables: Sequence[xr.Dataset]) -> list[Any]:
    return [track_keys(table) for table in tables]
