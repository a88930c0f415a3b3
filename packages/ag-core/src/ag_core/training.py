"""One optimiser step, sharded when the batch is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ag_core.interfaces import Losses
from ag_core.layers import Constant, RMSBatchNorm
from ag_core.model import Model

MOMENT_DECAY = 0.9


def _moments(tree: PyTree) -> list[Any]:
    norms = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, RMSBatchNorm))
    return [node.second_moment for node in norms if isinstance(node, RMSBatchNorm)]


def trainable(model: PyTree) -> PyTree[bool]:
    """Filter for the optimiser: floating arrays but constants and running moments."""

    def mark(leaf):
        return False if isinstance(leaf, Constant) else eqx.is_inexact_array(leaf)

    spec = jax.tree.map(mark, model, is_leaf=lambda leaf: isinstance(leaf, Constant))
    count = len(_moments(spec))
    return eqx.tree_at(_moments, spec, replace=[False] * count) if count else spec


def count_parameters(model: PyTree) -> int:
    """Number of trainable values."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, trainable(model))))


def model_loss(
    model: Model,
    dna: Float[Array, "batch position base"],
    organism: Int[Array, " batch"],
    targets: Mapping[str, Mapping[str, Array]],
    *,
    weights: Mapping[str, float] | None = None,
    freeze_backbone: bool = False,
    mesh: Mesh | None = None,
    key: PRNGKeyArray | None = None,
) -> tuple[Float[Array, ""], Losses]:
    """Weighted sum of the losses of the modalities in `targets`, and all parts under "modality/part".

    A head's own weight counts unless `weights` names its modality. Heads are told what of the targets they are to be
    told (`AbstractHead.conditions`). With `freeze_backbone` no gradient passes the embeddings. `key` is for dropout.
    """
    modalities = tuple(targets)
    embeddings = model.embed(dna, organism, modalities=modalities, mesh=mesh, key=key)
    if freeze_backbone:
        embeddings = jax.lax.stop_gradient(embeddings)
    told = {name: model.heads[name].conditions(targets[name]) for name in modalities}
    given = {name: conditions for name, conditions in told.items() if conditions}
    predictions = model.predict(embeddings, organism, modalities=modalities, given=given)
    total, logs = jnp.zeros(()), {}
    for name in modalities:
        head = model.heads[name]
        losses = head.loss(predictions[name], targets[name], organism)
        total += (weights or {}).get(name, head.loss_weight) * losses["loss"]
        logs |= {f"{name}/{part}": value for part, value in losses.items()}
    return total, logs


class State(NamedTuple):
    """Everything a run needs to go on."""

    model: PyTree
    optimiser: optax.OptState
    step: Array


def _strong(tree: PyTree) -> PyTree:
    """Arrays without weak types: else the second and third step would compile anew."""
    return jax.tree.map(lambda leaf: leaf.astype(leaf.dtype) if eqx.is_array(leaf) else leaf, tree)


def start(model: PyTree, optimiser: optax.GradientTransformation) -> State:
    """The state before the first step; put the model in training mode first."""
    return _strong(State(model, optimiser.init(eqx.filter(model, trainable(model))), jnp.zeros((), jnp.int32)))


def advance(
    state: State,
    batch: Any,
    *,
    loss: Callable[[PyTree, Any], Float[Array, ""]],
    optimiser: optax.GradientTransformation,
) -> tuple[State, Float[Array, ""]]:
    """One step. Running moments move by 0.9/0.1 towards the batch's, which arrive as their gradient.

    A moment whose layer did not run in this step (gradient exactly zero) stays as it is.
    """

    def differentiable(leaf):
        return False if isinstance(leaf, Constant) else eqx.is_inexact_array(leaf)

    spec = jax.tree.map(differentiable, state.model, is_leaf=lambda leaf: isinstance(leaf, Constant))
    variables, rest = eqx.partition(state.model, spec)
    value, gradients = jax.value_and_grad(lambda v: loss(eqx.combine(v, rest), batch))(variables)
    chosen = trainable(state.model)
    updates, optimiser_state = optimiser.update(
        eqx.filter(gradients, chosen), state.optimiser, eqx.filter(state.model, chosen)
    )
    model = eqx.apply_updates(state.model, updates)
    olds, news = _moments(state.model), _moments(gradients)
    if olds:
        moved = [
            jnp.where(new > 0, MOMENT_DECAY * old + (1 - MOMENT_DECAY) * new, old)
            for old, new in zip(olds, news, strict=True)
        ]
        model = eqx.tree_at(_moments, model, replace=moved)
    return _strong(State(model, optimiser_state, state.step + 1)), value
