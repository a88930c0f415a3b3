"""Width-5 convolutions with 2 instead of 5 products for each output: the minimal filtering of Toom, Cook and Winograd.

Four neighbouring outputs are a polynomial product modulo a polynomial with the roots 0, 1, -1, 2, -2, 1/2, -1/2 and
infinity: the inputs are evaluated at these eight points, multiplied there with the kernel's values (one matrix product
for each point), and the outputs interpolated. Winograd, Arithmetic Complexity of Computations (1980); Lavin and Gray,
CVPR 2016. The result differs from the direct sum by float32 rounding (about 2e-6 of its size), so it is for float32
inference on CPUs, where these convolutions are three quarters of the work (spec/model.md 8.3).
"""

import functools
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

OUTPUTS = 4
WIDTH = 5
_ROOTS = tuple(Fraction(root) for root in ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))
POINTS = len(_ROOTS) + 1


def _product(roots: tuple[Fraction, ...]) -> list[Fraction]:
    """Coefficients, lowest first, of the polynomial with these roots."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [high - root * low for high, low in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


@functools.cache
def transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices for inputs [point, input], kernel [point, tap] and outputs [output, point], float64."""
    inputs, kernel = np.zeros((POINTS, POINTS)), np.zeros((POINTS, WIDTH))
    outputs = np.zeros((OUTPUTS, POINTS))
    for j, root in enumerate(_ROOTS):
        others = _ROOTS[:j] + _ROOTS[j + 1 :]
        polynomial = _product(others)
        inputs[j, : len(polynomial)] = [float(c) for c in polynomial]
        norm = functools.reduce(lambda x, other, root=root: x * (root - other), others, Fraction(1))
        kernel[j] = [float(root**tap / norm) for tap in range(WIDTH)]
        outputs[:, j] = [float(root**i) for i in range(OUTPUTS)]
    inputs[-1] = [float(c) for c in _product(_ROOTS)]
    kernel[-1, -1] = outputs[-1, -1] = 1
    # Powers of two between input and kernel, so that the values at all points are of one size.
    balance = 2.0 ** np.round(np.log2(np.abs(inputs).max(axis=1)))
    return inputs / balance[:, None], kernel * balance[:, None], outputs


def _combine(matrix: np.ndarray, values: list[Array]) -> list[Array]:
    return [
        sum(float(c) * value for c, value in zip(row, values, strict=True) if c)  # pyright: ignore[reportReturnType]
        for row in matrix
    ]


class WinogradConv(eqx.Module):
    """Convolution of width 5 with zero padding to the same length, from a kernel given at eight points."""

    weight: Float[Array, "point in out"]
    bias: Float[Array, " out"]

    @classmethod
    def from_kernel(cls, kernel: Float[Array, "width in out"], bias: Float[Array, " out"]) -> "WinogradConv":
        """Raises ValueError unless the kernel is 5 wide."""
        if kernel.shape[0] != WIDTH:
            raise ValueError(f"expected a kernel of width {WIDTH}, got shape {kernel.shape}")
        matrix = jnp.asarray(transforms()[1], jnp.float32)
        return cls(jnp.einsum("jr,rio->jio", matrix, kernel, precision="highest"), bias)

    def __call__(self, x: Float[Array, "batch position in"]) -> Float[Array, "batch position out"]:
        batch, length, channels = x.shape
        to_points, _, to_outputs = transforms()
        tiles, left = -(-length // OUTPUTS), WIDTH // 2
        # One tile more than there are outputs for: its first inputs are the last tile's halo.
        right = (tiles + 1) * OUTPUTS - length - left
        # Without the barrier whatever makes x would be computed anew for each point.
        x = jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), (left, right), (0, 0))))
        x = x.reshape(batch, tiles + 1, OUTPUTS, channels)
        inputs = [x[:, k // OUTPUTS : k // OUTPUTS + tiles, k % OUTPUTS] for k in range(POINTS)]
        values = jnp.stack(_combine(to_points, inputs))
        products = jnp.einsum("jbtc,jco->jbto", values, self.weight)
        outputs = jnp.stack(_combine(to_outputs, list(products)), axis=2)
        return outputs.reshape(batch, tiles * OUTPUTS, -1)[:, :length] + self.bias
