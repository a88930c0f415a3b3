"""One optimiser step: the same on one device, on a mesh and over several processes.

What is float32 stays float32: with `precision="bfloat16"` the forward and backward pass run in bfloat16 from weights
that are rounded for the occasion, while the weights themselves, their average and the optimiser's moments are float32.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ag_core.interfaces import Losses
from ag_core.layers import Constant, RMSBatchNorm
from ag_core.mesh import DATA, pin
from ag_core.model import Model
from ag_core.precision import Precision, cast

MOMENT_DECAY = 0.9
# (model, batch, key) to the value that is descended and what else is worth logging.
LossFunction = Callable[[Any, Any, PRNGKeyArray], tuple[Float[Array, ""], Losses]]


def _is_norm(node: Any) -> bool:
    return isinstance(node, RMSBatchNorm)


def _moments(tree: PyTree) -> list[Any]:
    return [node.second_moment for node in jax.tree.leaves(tree, is_leaf=_is_norm) if _is_norm(node)]


def _observing(tree: PyTree) -> list[bool]:
    """Which norms are in training mode, and so report their batch's moment."""
    return [not node.inference for node in jax.tree.leaves(tree, is_leaf=_is_norm) if _is_norm(node)]


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
    remat: bool = False,
    key: PRNGKeyArray | None = None,
) -> tuple[Float[Array, ""], Losses]:
    """Weighted sum of the losses of the modalities in `targets`, and all parts under "modality/part".

    A head's own weight counts unless `weights` names its modality. Heads are told what of the targets they are to be
    told (`AbstractHead.conditions`). With `freeze_backbone` no gradient passes the embeddings; with `remat` blocks are
    run again in the backward pass instead of keeping what they computed. `key` is for dropout.
    """
    modalities = tuple(targets)
    embeddings = model.embed(dna, organism, modalities=modalities, mesh=mesh, remat=remat, key=key)
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
    """Everything a run needs to go on: `average` is that of the weights over the last steps, or None."""

    model: PyTree
    optimiser: optax.OptState
    step: Int[Array, ""]
    average: PyTree | None = None


class Report(NamedTuple):
    """What a step says about itself. A step that was not `finite` has changed nothing but the step's number."""

    loss: Float[Array, ""]
    parts: Losses
    gradient_norm: Float[Array, ""]
    finite: Bool[Array, ""]


def _strong(tree: PyTree) -> PyTree:
    """Arrays without weak types: else the second and third step would compile anew."""
    return jax.tree.map(lambda leaf: leaf.astype(leaf.dtype) if eqx.is_array(leaf) else leaf, tree)


def start(
    model: PyTree,
    optimiser: optax.GradientTransformation,
    *,
    chosen: PyTree[bool] | None = None,
    average: bool = False,
) -> State:
    """The state before the first step; put the model in training mode first.

    `chosen` marks the arrays that are trained (default: `trainable`); with `average` their average is kept too.
    """
    own = eqx.filter(model, trainable(model) if chosen is None else chosen)
    # A copy: a step may overwrite either.
    copy = jax.tree.map(jnp.copy, own) if average else None
    return _strong(State(model, optimiser.init(own), jnp.zeros((), jnp.int32), copy))


def averaged(state: State) -> PyTree:
    """The model with averaged weights in place of the last ones; running moments as they are."""
    return state.model if state.average is None else eqx.combine(state.average, state.model)


def advance(
    state: State,
    batch: Any,
    *,
    loss: LossFunction,
    optimiser: optax.GradientTransformation,
    chosen: PyTree[bool] | None = None,
    precision: Precision | str = Precision.FLOAT32,
    accumulate: int = 1,
    decay: float = 0.999,
    seed: int = 0,
    mesh: Mesh | None = None,
) -> tuple[State, Report]:
    """One step.

    - `chosen` marks the arrays that are trained, as in `start`.
    - `accumulate`: the batch is worked through in that many parts (every n-th row), whose gradients are averaged.
    - `decay` is that of the average of weights, if there is one; at first it follows faster.
    - `seed` and the step's number make the key that `loss` gets.

    Running moments of norms in training mode move by 0.9/0.1 towards the batch's, which arrive as their gradient; that
    of a layer which did not run in this step (gradient exactly zero) stays as it is.
    """
    chosen = trainable(state.model) if chosen is None else chosen
    observing = _observing(state.model)
    spec = eqx.tree_at(_moments, chosen, replace=observing) if observing else chosen
    variables, rest = eqx.partition(state.model, spec)
    key = jax.random.fold_in(jax.random.key(seed), state.step)

    def value_of(variables: PyTree, part: Any, key: PRNGKeyArray) -> tuple[Float[Array, ""], Losses]:
        model = eqx.combine(variables, rest)
        return loss(model if precision == Precision.FLOAT32 else cast(model, precision), part, key)

    gradient_of = jax.value_and_grad(value_of, has_aux=True)
    if accumulate == 1:
        (value, parts), gradients = gradient_of(variables, batch, key)
    else:
        (value, parts), gradients = _accumulated(gradient_of, variables, batch, key, accumulate, mesh)
    own = eqx.filter(gradients, chosen)
    norm = optax.tree.norm(own)
    finite = jnp.isfinite(value) & jnp.isfinite(norm)
    updates, optimiser_state = optimiser.update(own, state.optimiser, eqx.filter(state.model, chosen))
    model = eqx.apply_updates(state.model, updates)
    if any(observing):
        moved = [
            jnp.where(new > 0, MOMENT_DECAY * old + (1 - MOMENT_DECAY) * new, old) if seen else old
            for old, new, seen in zip(_moments(state.model), _moments(gradients), observing, strict=True)
        ]
        model = eqx.tree_at(_moments, model, replace=moved)
    average = state.average
    if average is not None:
        share = jnp.minimum(decay, (1 + state.step) / (10 + state.step))
        average = jax.tree.map(lambda a, w: share * a + (1 - share) * w, average, eqx.filter(model, chosen))
    new = _strong(State(model, optimiser_state, state.step, average))
    new = jax.tree.map(lambda n, o: jnp.where(finite, n, o) if eqx.is_array(n) else n, new, _strong(state))
    return new._replace(step=state.step + 1), Report(value, parts, norm, finite)


def _accumulated(
    gradient_of: Callable[..., Any], variables: PyTree, batch: Any, key: PRNGKeyArray, count: int, mesh: Mesh | None
) -> Any:
    """Means over `count` parts of a batch of what `gradient_of` gives."""

    def split(leaf: Array) -> Array:
        if leaf.shape[0] % count:
            raise ValueError(f"a batch of {leaf.shape[0]} cannot be worked through in {count} parts; choose a divisor")
        # Every n-th row: rows stay on the devices that have them.
        parts = jnp.swapaxes(leaf.reshape(leaf.shape[0] // count, count, *leaf.shape[1:]), 0, 1)
        return pin(parts, mesh, None, DATA)

    parts = jax.tree.map(split, batch)

    def one(total: PyTree, part: tuple[Any, Array]) -> tuple[PyTree, None]:
        got = gradient_of(variables, part[0], jax.random.fold_in(key, part[1]))
        return jax.tree.map(lambda t, g: t + g / count, total, got), None

    shapes = jax.eval_shape(gradient_of, variables, jax.tree.map(lambda leaf: leaf[0], parts), key)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    total, _ = jax.lax.scan(one, zeros, (parts, jnp.arange(count)))
    return total
