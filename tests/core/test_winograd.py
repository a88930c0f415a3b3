"""Fast convolutions equal the direct ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.backbone import Backbone
from ag_core.config import PRESETS
from ag_core.layers import Conv
from ag_core.model import fold
from ag_core.winograd import WinogradConv, transforms
from hypothesis import given, settings
from hypothesis import strategies as st


def test_transforms_are_exact_in_float64():
    inputs, kernel, outputs = transforms()
    random = np.random.default_rng(0)
    x, taps = random.normal(size=8), random.normal(size=5)
    direct = [np.dot(x[i : i + 5], taps) for i in range(4)]
    np.testing.assert_allclose(outputs @ ((kernel @ taps) * (inputs @ x)), direct, 1e-12)


@settings(deadline=None, max_examples=8)
@given(length=st.integers(1, 40), size_in=st.integers(1, 5), size_out=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_any_length_equals_the_direct_convolution(length, size_in, size_out, seed):
    """Sequence ends and lengths that are no multiple of four included."""
    random = np.random.default_rng(seed)
    kernel = jnp.asarray(random.normal(size=(5, size_in, size_out)), jnp.float32)
    bias = jnp.asarray(random.normal(size=size_out), jnp.float32)
    x = jnp.asarray(random.normal(size=(2, length, size_in)), jnp.float32)
    fast, direct = WinogradConv.from_kernel(kernel, bias), Conv(kernel, bias)
    np.testing.assert_allclose(fast(x), direct(x), atol=2e-4)


def test_rounding_stays_near_that_of_the_direct_sum(getkey):
    """Against float64: the root mean square error is of the order of float32 rounding."""
    x = jax.random.normal(getkey(), (1, 512, 96))
    kernel = jax.random.normal(getkey(), (5, 96, 32)) / np.sqrt(5 * 96)
    padded = np.pad(np.asarray(x[0], np.float64), ((2, 2), (0, 0)))
    exact = sum(padded[k : k + 512] @ np.asarray(kernel[k], np.float64) for k in range(5))
    error = np.sqrt(np.mean(np.square(WinogradConv.from_kernel(kernel, jnp.zeros(32))(x)[0] - exact)))
    assert error < 3e-6


@pytest.mark.slow
def test_a_folded_backbone_gives_the_same_embeddings(randomise):
    backbone = randomise(Backbone(PRESETS["tiny"], key=jax.random.key(0)))
    dna = jax.nn.one_hot(np.random.default_rng(1).integers(0, 5, (1, 4096)), 4)
    organism = jnp.array([1])
    run = eqx.filter_jit(lambda b: b(dna, organism))
    folded = fold(backbone, fast=True)
    whole, fast = run(backbone), run(folded)
    for name in ("bp1", "bp128", "pair"):
        np.testing.assert_allclose(getattr(fast, name), getattr(whole, name), 2e-3, 1e-4)
    assert any(map(_is_fast, jax.tree.leaves(folded, is_leaf=_is_fast)))


def _is_fast(node):
    return isinstance(node, WinogradConv)


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match=r"width 5, got shape \(3, 2, 2\)"):
        WinogradConv.from_kernel(jnp.ones((3, 2, 2)), jnp.zeros(2))
