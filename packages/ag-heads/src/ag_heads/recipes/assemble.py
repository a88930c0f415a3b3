"""From settings and data to a model: its description, fresh or taken-over weights, what is trained, the optimiser."""

import math
import re
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from ag_core import training
from ag_core.checkpoint import HeadSpec, ModelSpec, array_name, build, load
from ag_core.errors import InputError
from ag_core.interfaces import Centred
from ag_core.layers import RMSBatchNorm
from ag_core.model import Model, training_mode
from ag_data.layouts.slots import track_keys
from jaxtyping import PyTree

from ag_heads.adapters import adapt, added
from ag_heads.recipes.feeds import Data
from ag_heads.recipes.settings import OptimiserSettings, Settings
from ag_heads.trained_on import unite


def make_spec(settings: Settings, data: Data) -> ModelSpec:
    """The model's description, with the tables of tracks that the stores have."""
    own = settings.model
    heads = {
        modality: HeadSpec(head.plugin or modality, data.tables[modality], head.options)
        for modality, head in own.heads.items()
    }
    start = None if own.start is None else load(settings.named(own.start)).spec
    backbone = own.config if start is None else start.backbone
    sources = [source.trained_on for each in data.sources.values() for source in each.values()]
    seen = unite([*sources, *data.seen_before, *([] if start is None else [start.trained_on])])
    return ModelSpec(
        settings.name, backbone, heads, tuple(own.organisms), own.window, own.licence, own.notes, trained_on=seen
    )


def make_model(settings: Settings, data: Data, spec: ModelSpec) -> Model:
    """The model before the first step, in training mode: heads start at what is measured on average.

    With `model.start` the backbone is that of a checkpoint, and so are heads of the same tables. Raises InputError when
    it is of another architecture, and when a head reads what no head predicts, as junctions read splice sites.
    """
    model = build(spec, key=jax.random.key(settings.seed))
    try:
        model.order()
    except LookupError as error:
        raise InputError(f"{error}, which another head reads: add it to model.heads") from error
    heads = {}
    for modality, head in model.heads.items():
        heads[modality] = head.centre(data.averages(modality)) if isinstance(head, Centred) else head
    model = Model(model.backbone, heads)
    if settings.model.start is not None:
        model = take_over(model, spec, settings.named(settings.model.start))
    if (own := settings.adapter) is not None:
        key = jax.random.key(settings.seed + 1)
        try:
            model = adapt(model, own.kind, rank=own.rank, scale=own.scale, places=own.places, key=key)
        except (ValueError, re.error) as error:
            raise InputError(f"adapter: {error}") from error
    return training_mode(model, dropout=settings.numerics.dropout)


def take_over(model: Model, spec: ModelSpec, name: str) -> Model:
    """`model` with the backbone of a checkpoint, and with its heads where plugin and tables of tracks are the same.

    Raises InputError when its backbone has other sizes.
    """
    start = load(name)
    if start.spec.backbone != model.backbone.config:
        ours, theirs = model.backbone.config.to_dict(), start.spec.backbone.to_dict()
        apart = [f"{key} {theirs[key]}, here {ours[key]}" for key in ours if ours[key] != theirs[key]]
        raise InputError(f"model.start: {name} has another architecture: {'; '.join(apart)}")
    heads = {
        modality: start.model.heads[modality] if _same_head(start.spec, spec, modality) else head
        for modality, head in model.heads.items()
    }
    return Model(start.model.backbone, heads)


def _same_head(one: ModelSpec, other: ModelSpec, modality: str) -> bool:
    if modality not in one.heads or one.heads[modality].plugin != other.heads[modality].plugin:
        return False

    def keys(spec: ModelSpec) -> list[list[tuple[str, str]]]:
        return [track_keys(table) for table in spec.heads[modality].tracks]

    return keys(one) == keys(other)


def learning_rates(model: PyTree, chosen: PyTree[bool], groups: dict[str, float]) -> PyTree[float]:
    """For each trained array the factor of its learning rate: that of the longest key its name starts with.

    Raises InputError for a key that no array's name starts with.
    """
    arrays = eqx.filter(model, chosen)
    names = [array_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(arrays)]
    if unknown := [key for key in groups if not any(_is_below(name, key) for name in names)]:
        raise InputError(
            f"optimiser.groups: no trained array's name starts with {', '.join(unknown)}; they start with "
            f"{', '.join(sorted({name.split('.')[0] for name in names}))}, such as backbone.encoder or heads.cage"
        )
    return jax.tree_util.tree_map_with_path(lambda path, _: _factor(array_name(path), groups), arrays)


def _is_below(name: str, key: str) -> bool:
    return name == key or name.startswith(f"{key}.")


def _factor(name: str, groups: dict[str, float]) -> float:
    fitting = [key for key in groups if _is_below(name, key)]
    return groups[max(fitting, key=len)] if fitting else 1.0


def chosen_arrays(model: Model, settings: Settings) -> PyTree[bool]:
    """What is trained: all trainable arrays but those whose learning rate is 0; with adapters, these and the heads."""
    everything, groups = training.trainable(model), settings.optimiser.groups
    if settings.adapter is not None:
        everything = Model(added(model.backbone), everything.heads)  # pyright: ignore[reportArgumentType]
    learning_rates(model, everything, groups)  # refuses keys that mean nothing

    def mark(path: Any, leaf: Any) -> bool:
        return bool(leaf) and _factor(array_name(path), groups) != 0

    return jax.tree_util.tree_map_with_path(mark, everything)


def hold_norms(model: PyTree, chosen: PyTree[bool]) -> PyTree:
    """Norms that are not trained keep their running moments, as in inference."""

    def is_norm(node: Any) -> bool:
        return isinstance(node, RMSBatchNorm)

    def hold(mark: Any, norm: Any) -> Any:
        if not is_norm(mark) or mark.scale:
            return norm
        return eqx.tree_at(lambda node: node.inference, norm, True)

    # Marks come first: what is no layer has one for all of it.
    return jax.tree.map(hold, chosen, model, is_leaf=is_norm)


def schedule(settings: OptimiserSettings) -> optax.Schedule:
    """Linear warm-up to the peak, `hold` steps there, then half a cosine down to `final` of it."""
    peak, warmup = settings.learning_rate, min(settings.warmup, settings.steps - 1)
    hold = min(settings.hold, settings.steps - warmup - 1)
    parts = [
        optax.linear_schedule(0.0 if warmup else peak, peak, max(warmup, 1)),
        optax.constant_schedule(peak),
        optax.cosine_decay_schedule(peak, settings.steps - warmup - hold, settings.final),
    ]
    return optax.join_schedules(parts, [warmup, warmup + hold])


def make_optimiser(settings: OptimiserSettings, factors: PyTree[float]) -> optax.GradientTransformation:
    """AdamW; only matrices and kernels decay, and each array's learning rate has its own factor."""

    def decays(parameters: PyTree) -> PyTree[bool]:
        return jax.tree.map(lambda leaf: np.ndim(leaf) > 1, parameters)

    def rescale(updates: Any, parameters: Any) -> Any:
        return jax.tree.map(lambda update, factor: update * factor, updates, factors)

    parts = [] if settings.clip is None else [optax.clip_by_global_norm(settings.clip)]
    parts.append(
        optax.adamw(schedule(settings), settings.beta1, settings.beta2, weight_decay=settings.weight_decay, mask=decays)
    )
    if any(not math.isclose(factor, 1.0) for factor in jax.tree.leaves(factors)):
        parts.append(optax.stateless(rescale))
    return optax.chain(*parts)
