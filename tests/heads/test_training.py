"""A freshly initialised model with all heads trains, alone and spread over devices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sharded
from ag_core import training
from ag_core.checkpoint import build
from ag_core.mesh import DATA, SEQ, make_mesh, put
from ag_core.model import training_mode
from ag_core.sequence import one_hot

LENGTH, BATCH = 4096, 2


@pytest.fixture(scope="module")
def fresh(eleven_heads):
    return build(eleven_heads, key=jax.random.key(0))


@pytest.fixture(scope="module")
def batch():
    made = sharded.as_device_arrays(sharded.make_batch(LENGTH, BATCH))
    return {"dna": one_hot(made["codes"]), "organism": made["organism"], "targets": made["targets"]}


def loss_of(model, batch, **options):
    return training.model_loss(model, batch["dna"], batch["organism"], batch["targets"], **options)


@pytest.mark.slow
def test_a_fresh_model_trains(fresh, batch):
    """All parts of the loss finite, all of them lower after some steps, running moments moved, dropout on."""
    optimiser = optax.adam(3e-3)
    state = training.start(training_mode(fresh, dropout=0.1), optimiser)

    @eqx.filter_jit
    def step(batch, state):
        def loss(model, batch, key):
            return loss_of(model, batch, key=key)

        return training.advance(state, batch, loss=loss, optimiser=optimiser)

    measure = eqx.filter_jit(lambda model: loss_of(training_mode(model, False), batch))
    before = measure(fresh)
    for _ in range(12):
        state, report = step(batch, state)
        assert report.finite
    assert all(
        bool(jnp.all(jnp.isfinite(x)))
        for x in jax.tree.leaves(eqx.filter(state.model, training.trainable(state.model)))
    )
    total, logs = measure(state.model)
    assert total < before[0]
    for name in fresh.heads:
        assert logs[f"{name}/loss"] < before[1][f"{name}/loss"], name
    moment = state.model.backbone.embedder_1.norm.second_moment
    assert bool(jnp.all(moment != fresh.backbone.embedder_1.norm.second_moment))


@pytest.mark.slow
def test_dropout_needs_a_key_and_changes_the_outcome(fresh, batch):
    model = training_mode(fresh, dropout=0.5)
    of_key = eqx.filter_jit(lambda key: loss_of(model, batch, key=key)[0])
    assert of_key(jax.random.key(0)) != of_key(jax.random.key(1))
    with pytest.raises(RuntimeError, match="key"):
        loss_of(model, batch)


@pytest.mark.slow
def test_a_frozen_backbone_gets_no_gradient_and_weights_weigh(fresh, batch):
    weights = dict.fromkeys(fresh.heads, 0.0) | {"atac": 2.0}

    def loss(model):
        return loss_of(model, batch, freeze_backbone=True, weights=weights)

    (total, logs), gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss, has_aux=True))(fresh)
    np.testing.assert_allclose(total, 2 * logs["atac/loss"], 1e-6)
    assert not any(bool(jnp.any(x)) for x in jax.tree.leaves(gradient.backbone) if eqx.is_array(x))
    assert bool(jnp.any(gradient.heads["atac"].linears[1].weight))
    assert not bool(jnp.any(gradient.heads["cage"].linears[1].weight))


@pytest.mark.slow
def test_loss_and_batch_moments_do_not_depend_on_the_mesh(fresh, batch):
    """Spread over data=2 x seq=4 devices, batch norms still see the whole batch."""
    model = training_mode(fresh)
    mesh = make_mesh(2, 4)

    @eqx.filter_jit
    def run(model, batch, mesh):
        spec = jax.tree.map(eqx.is_inexact_array, model)
        variables, rest = eqx.partition(model, spec)
        return jax.value_and_grad(lambda v: loss_of(eqx.combine(v, rest), batch, mesh=mesh)[0])(variables)

    value, gradient = run(model, batch, None)
    spread = batch | {"dna": put(batch["dna"], mesh, DATA, SEQ), "organism": put(batch["organism"], mesh, DATA)}
    value_spread, gradient_spread = run(model, spread, mesh)
    np.testing.assert_allclose(value_spread, value, 1e-5)

    def moments(tree):
        return [
            tree.backbone.encoder.stem.block.norm,
            tree.backbone.tower.blocks[0].mlp.norm,
            tree.backbone.embedder_1.norm,
        ]

    for one, other in zip(moments(gradient), moments(gradient_spread), strict=True):
        np.testing.assert_allclose(other.second_moment, one.second_moment, 1e-5)
        np.testing.assert_allclose(other.scale, one.scale, 2e-3, 1e-5)
