"""Adapters change nothing at first, alone are trained, and can be merged into the network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ag_core import training
from ag_core.backbone import Backbone
from ag_core.checkpoint import array_names
from ag_core.config import PRESETS
from ag_core.layers import RMSBatchNorm
from ag_core.precision import cast
from ag_core.sequence import one_hot
from ag_heads.adapters import KINDS, adapt, added, merge

LENGTH = 2048


class Trunk(eqx.Module):
    backbone: Backbone

    def __call__(self, codes):
        dna = one_hot(codes).astype(self.backbone.embedder_128.norm.scale.dtype)
        return self.backbone(dna, jnp.zeros(len(codes), jnp.int32), resolutions=(1,)).bp1


@pytest.fixture(scope="module")
def trunk(randomise):
    backbone = eqx.filter_eval_shape(lambda: Backbone(PRESETS["tiny"], key=jax.random.key(0)))
    return Trunk(randomise(backbone))


@pytest.fixture(scope="module")
def codes():
    return jnp.asarray(np.random.default_rng(0).integers(0, 4, (1, LENGTH), np.uint8))


run = eqx.filter_jit(lambda model, codes: model(codes))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if kind != "ia3" else kind for kind in KINDS]
)
def test_they_start_as_what_they_are_put_on_and_merge(trunk, codes, kind):
    model = adapt(trunk, kind, rank=2, key=jax.random.key(0))
    plain = run(trunk, codes)
    np.testing.assert_allclose(run(model, codes), plain, rtol=1e-6, atol=1e-6)
    marks = added(model)
    random = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda leaf, mark: leaf + jnp.asarray(random.normal(0, 0.1, leaf.shape), jnp.float32) if mark else leaf,
        model,
        marks,
    )
    assert float(jnp.max(jnp.abs(run(moved, codes) - plain))) > 1e-3
    merged = merge(moved)
    with jax.enable_x64(True):  # in float32, random weights make much of rounding
        exact = cast(moved, "float64")
        np.testing.assert_allclose(run(merge(exact), codes), run(exact, codes), rtol=1e-9, atol=1e-9)
    if kind != "houlsby":
        shapes = [{name: leaf.shape for name, leaf in array_names(each).items()} for each in (trunk, merged)]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("kind", ["lora", pytest.param("houlsby", marks=pytest.mark.slow)])
def test_only_they_are_trained(trunk, codes, kind):
    model, optimiser = adapt(trunk, kind, rank=2, key=jax.random.key(0)), optax.adam(0.01)
    chosen = added(model)

    def loss(model, codes, key):
        return jnp.mean(model(codes) ** 2), {}

    state = training.start(model, optimiser, chosen=chosen)
    step = eqx.filter_jit(lambda s, codes: training.advance(s, codes, loss=loss, optimiser=optimiser, chosen=chosen))
    losses = []
    for _ in range(3):
        state, report = step(state, codes)
        losses.append(float(report.loss))
    assert losses[-1] < losses[0]
    for mark, before, after in zip(*map(jax.tree.leaves, (chosen, model, state.model)), strict=True):
        if eqx.is_array(before) and not mark:
            np.testing.assert_array_equal(before, after)
    assert sum(x.size for x in jax.tree.leaves(state.optimiser)) < training.count_parameters(trunk)


def test_what_cannot_be_adapted_is_refused(trunk):
    with pytest.raises(ValueError, match="expected one of lora"):
        adapt(trunk, "lorra", key=jax.random.key(0))
    with pytest.raises(ValueError, match="no layer of the right type is called 'nothing'"):
        adapt(trunk, "lora", places="nothing", key=jax.random.key(0))


def test_norms_keep_their_moments_unless_they_are_trained(trunk, codes):
    """A frozen network in training is the one of inference."""
    from ag_core.model import training_mode
    from ag_heads.recipes.assemble import hold_norms

    model = adapt(training_mode(trunk), "lora", rank=2, key=jax.random.key(0))
    held = hold_norms(model, added(model))
    norms = jax.tree.leaves(held, is_leaf=lambda node: isinstance(node, RMSBatchNorm))
    assert all(norm.inference for norm in norms if isinstance(norm, RMSBatchNorm))
    np.testing.assert_allclose(run(held, codes), run(trunk, codes), rtol=1e-6, atol=1e-6)
