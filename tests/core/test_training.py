"""One optimiser step: parts of a batch, averages of weights, steps that go wrong, narrow arithmetic."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ag_core import training
from ag_core.layers import Linear

X = jax.random.normal(jax.random.key(1), (8, 4))
OPTIMISER = optax.sgd(0.1)


def loss(model, batch, key):
    return jnp.mean((model(batch) - 1) ** 2), {"part": jnp.mean(batch)}


@pytest.fixture
def model():
    return Linear(4, 1, key=jax.random.key(0))


def advance(state, batch=X, **options):
    step = eqx.filter_jit(lambda s, b: training.advance(s, b, loss=loss, optimiser=OPTIMISER, **options))
    return step(state, batch)


def test_parts_of_a_batch_make_the_step_of_the_whole(model):
    state = training.start(model, OPTIMISER)
    whole, told = advance(state)
    parts, told_of_parts = advance(state, accumulate=4)
    np.testing.assert_allclose(parts.model.weight, whole.model.weight, rtol=1e-6)
    np.testing.assert_allclose(told_of_parts.loss, told.loss, rtol=1e-6)
    np.testing.assert_allclose(told_of_parts.gradient_norm, told.gradient_norm, rtol=1e-6)
    with pytest.raises(ValueError, match="8 cannot be worked through in 3 parts"):
        advance(state, accumulate=3)


def test_a_step_that_is_not_finite_changes_nothing_but_its_number(model):
    state = training.start(model, OPTIMISER, average=True)
    after, report = advance(state, X.at[0, 0].set(jnp.nan))
    assert not report.finite
    assert int(after.step) == 1
    np.testing.assert_array_equal(after.model.weight, model.weight)
    np.testing.assert_array_equal(after.average.weight, model.weight)


def test_the_average_follows_the_weights(model):
    state = training.start(model, OPTIMISER, average=True)
    weights = [np.asarray(model.weight)]
    for _ in range(3):
        state, _ = advance(state, decay=0.15)
        weights.append(np.asarray(state.model.weight))
    expected = weights[0]
    for step, weight in enumerate(weights[1:]):
        share = min(0.15, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * weight
    np.testing.assert_allclose(training.averaged(state).weight, expected, rtol=1e-6)


def test_in_bfloat16_the_weights_stay_wide(model):
    state = training.start(model, OPTIMISER)
    narrow, _ = advance(state, precision="bfloat16")
    wide, _ = advance(state)
    assert narrow.model.weight.dtype == jnp.float32
    np.testing.assert_allclose(narrow.model.weight, wide.model.weight, rtol=0.05, atol=0.01)
    assert not np.array_equal(narrow.model.weight, wide.model.weight)


def test_only_what_is_chosen_is_trained(model):
    chosen = eqx.tree_at(lambda m: m.bias, jax.tree.map(lambda _: False, model), replace=True)
    after, _ = advance(training.start(model, OPTIMISER, chosen=chosen), chosen=chosen)
    np.testing.assert_array_equal(after.model.weight, model.weight)
    assert not np.array_equal(after.model.bias, model.bias)
