import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ag_core import attention, training
from ag_core.layers import Constant, Conv, ConvBlock, Linear, RMSBatchNorm, StandardizedConv
from ag_core.mesh import make_mesh
from ag_core.model import training_mode


class Toy(eqx.Module):
    """A norm that runs, one that does not, a linear layer and a constant."""

    used: RMSBatchNorm
    idle: RMSBatchNorm
    linear: Linear
    constant: Constant

    def __init__(self):
        self.used, self.idle = RMSBatchNorm(4, inference=False), RMSBatchNorm(4, inference=False)
        self.linear = Linear(4, 1, key=jax.random.key(0))
        self.constant = Constant(jnp.full(1, 2.0))

    def __call__(self, x):
        return self.linear(self.used(x)) * self.constant.value


@pytest.fixture
def batch():
    x = 3 * jax.random.normal(jax.random.key(1), (2, 16, 4))
    return x, x @ jnp.array([[1.0], [-2.0], [0.5], [0.0]])


def loss(model, batch):
    x, y = batch
    return jnp.mean((model(x) - y) ** 2)


def told(model, batch, key):
    return loss(model, batch), {}


def test_gradient_of_the_moment_is_the_batch_moment(batch):
    x, _ = batch
    gradient = eqx.filter_grad(loss)(Toy(), batch)
    np.testing.assert_allclose(gradient.used.second_moment, jnp.mean(x**2, axis=(0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(gradient.idle.second_moment, 0)


def test_training_uses_the_batch_and_inference_the_running_moment(batch):
    x, _ = batch
    norm = eqx.tree_at(lambda n: n.second_moment, RMSBatchNorm(4, inference=False), jnp.full(4, 100.0))
    np.testing.assert_allclose(jnp.mean(norm(x) ** 2, axis=(0, 1)), 1, rtol=1e-4)
    np.testing.assert_allclose(training_mode(norm, False)(x), x / 10, rtol=1e-4)


def test_no_gradient_through_the_moment():
    norm, x = RMSBatchNorm(1, inference=False), jnp.array([[[1.0], [3.0]]])
    jacobian = jax.jacobian(lambda x: norm(x).ravel())(x)
    # Were it part of the graph, each output would depend on the other input.
    np.testing.assert_allclose(jacobian.reshape(2, 2), np.eye(2) / np.sqrt(5), rtol=1e-4)


def test_step_moves_moments_and_leaves_the_rest_alone(batch):
    x, _ = batch
    model, optimiser = Toy(), optax.sgd(0.01, momentum=0.9)
    state, _ = training.advance(training.start(model, optimiser), batch, loss=told, optimiser=optimiser)
    np.testing.assert_allclose(state.model.used.second_moment, 0.9 + 0.1 * jnp.mean(x**2, axis=(0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(state.model.idle.second_moment, 1)
    np.testing.assert_array_equal(state.model.constant.value, 2)
    assert float(jnp.abs(state.model.linear.weight - model.linear.weight).min()) > 0
    assert int(state.step) == 1


def test_trainable_leaves_out_moments_and_constants():
    marks = training.trainable(Toy())
    assert marks.used.scale
    assert marks.linear.weight
    assert not marks.used.second_moment
    assert jax.tree.leaves(marks.constant) == [False]
    assert training.count_parameters(Toy()) == 4 * 4 + 4 + 1


def test_training_learns_and_compiles_once(batch):
    optimiser, traces = optax.adam(0.1), []

    @eqx.filter_jit
    def advance(state, batch):
        traces.append(1)
        return training.advance(state, batch, loss=told, optimiser=optimiser)

    state, values = training.start(Toy(), optimiser), []
    for _ in range(150):
        state, report = advance(state, batch)
        values.append(float(report.loss))
    assert len(traces) == 1
    assert values[-1] < values[0] / 20


def test_standardised_kernels_have_no_mean_and_unit_norm():
    conv = StandardizedConv(3, 4, 5, key=jax.random.key(0))
    conv = eqx.tree_at(lambda c: c.weight, conv, 7 + 3 * conv.weight)
    kernel = conv.kernel()
    np.testing.assert_allclose(kernel.mean(axis=(0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose((kernel**2).sum(axis=(0, 1)), 1, rtol=1e-4)


def test_padding_comes_after_the_activation():
    block = ConvBlock(1, 1, 5, key=jax.random.key(0))
    ones = jnp.ones((5, 1, 1))
    block = eqx.tree_at(lambda b: b.conv, block, Conv(ones, jnp.zeros(1)))
    block = eqx.tree_at(lambda b: b.norm.offset, block, jnp.ones(1))
    y = block(jnp.zeros((1, 8, 1)))[0, :, 0]
    # Inside, five activations of the offset add up; at the end two of them are missing rather than zero input.
    np.testing.assert_allclose(y / y[4], [0.6, 0.8, 1, 1, 1, 1, 0.8, 0.6], rtol=1e-5)


@pytest.mark.parametrize(("rows", "blocks"), [(4, 4), (3, 3), (1, 1)])
def test_attention_in_blocks_of_queries_equals_the_whole(rows, blocks, getkey, randomise, monkeypatch):
    monkeypatch.setattr(attention, "MAX_QUERIES", 16)
    length = 16 * rows
    layer = randomise(attention.MultiQueryAttention(24, 3, 8, 8, key=getkey()))
    x, bias = jax.random.normal(getkey(), (2, length, 24)), jax.random.normal(getkey(), (2, 3, rows, rows))
    assert layer._blocks(length, rows) == blocks
    np.testing.assert_allclose(layer(x, bias), layer(x, bias, mesh=make_mesh(1, 1)), 1e-5, 1e-5)
