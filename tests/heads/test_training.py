"""A freshly initialised model with all heads trains, alone and spread over devices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ag_core import training
from ag_core.checkpoint import build
from ag_core.mesh import DATA, SEQ, make_mesh, put
from ag_core.model import training_mode

LENGTH, BATCH = 4096, 2


@pytest.fixture(scope="module")
def fresh(eleven_heads):
    return build(eleven_heads, key=jax.random.key(0))


@pytest.fixture(scope="module")
def batch():
    """Sequences and targets of all eleven kinds, as an experiment leaves them: sparse, with gaps and padding."""
    random = np.random.default_rng(0)

    def signal(bins, tracks):
        values = random.gamma(0.5, 2.0, (BATCH, bins, tracks)) * (random.random((BATCH, bins, tracks)) < 0.2)
        values[:, :, -1] = np.nan
        return {"signal": jnp.asarray(values, jnp.float32)}

    targets = {name: signal(LENGTH, 3) for name in ("atac", "dnase")}
    targets |= {name: signal(LENGTH, 5) for name in ("procap", "cage", "rna_seq")}
    targets |= {name: signal(LENGTH // 128, 3) for name in ("chip_tf", "chip_histone")}
    contacts = random.normal(size=(BATCH, 2, 2, 3))
    contacts[0, 0, 0] = np.nan
    classes = np.eye(5, dtype=bool)[random.choice(5, (BATCH, LENGTH), p=[0.01] * 4 + [0.96])]
    positions = np.stack([np.sort(random.choice(LENGTH, (4, 12), replace=False), axis=1) for _ in range(BATCH)])
    positions[:, :, 8:] = -1
    return {
        "dna": jax.nn.one_hot(random.integers(0, 5, (BATCH, LENGTH)), 4),
        "organism": jnp.array([0, 1]),
        "targets": targets
        | {
            "contact_maps": {"contacts": jnp.asarray(contacts, jnp.float32)},
            "splice_sites": {"classes": jnp.asarray(classes)},
            "splice_site_usage": {"usage": jnp.asarray(random.random((BATCH, LENGTH, 5)), jnp.float32)},
            "splice_junctions": {
                "counts": jnp.asarray(random.poisson(3, (BATCH, 12, 12, 6)), jnp.float32),
                "splice_site_positions": jnp.asarray(positions, jnp.int32),
            },
        },
    }


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
