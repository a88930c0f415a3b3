"""The layers everything is built from, on channels-last batches. Source: spec/model.md sections 1.2-1.7.

`official` on a class maps its fields to the names in the official parameter tree (see `official.py`).
"""

import functools
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

EPSILON = 1e-5


class Constant(eqx.Module):
    """Data that belongs to a layer but is no parameter: never cast by a precision policy, never trained."""

    value: Array


@functools.partial(jax.jit, static_argnames="size")
def _draw(key: PRNGKeyArray, size: int) -> Float[Array, " size"]:
    return jax.random.truncated_normal(key, -2.0, 2.0, (size,))


def truncated_normal(key: PRNGKeyArray, shape: tuple[int, ...], std: float) -> Array:
    """Normal cut at two standard deviations, without variance correction (spec/model.md 4.3)."""
    size = math.prod(shape)
    # Drawn in powers of two: one compiled program serves many shapes.
    return std * _draw(key, 1 << (size - 1).bit_length())[:size].reshape(shape)


def gelu_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x * sigmoid(1.702 x); under bfloat16 the constant is rounded too, as in the reference."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """GELU in its tanh form, used in the pair stack."""
    return jax.nn.gelu(x, approximate=True)


def widen(x: Array) -> Array:
    """At least float32: what is narrower is widened, float64 stays."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def einsum_float32(equation: str, x: Array, y: Array) -> Array:
    """Einsum of narrow operands with a float32 result; XLA on CPU has no such product, so there they are widened.

    Of operands in float64 the result is float64.
    """
    if x.dtype == y.dtype == jnp.float32 or jnp.float64 in (x.dtype, y.dtype):
        return jnp.einsum(equation, x, y)

    def wide(x, y):
        return jnp.einsum(equation, x.astype(jnp.float32), y.astype(jnp.float32))

    def narrow(x, y):
        return jnp.einsum(equation, x, y, preferred_element_type=jnp.float32)

    return jax.lax.platform_dependent(x, y, cpu=wide, default=narrow)


class Linear(eqx.Module):
    """y = x @ weight + bias on the last axis."""

    weight: Float[Array, "in out"]
    bias: Float[Array, " out"] | None
    official: ClassVar = {"weight": "w", "bias": "b"}

    def __init__(self, size_in: int, size_out: int, *, bias: bool = True, std: float | None = None, key: PRNGKeyArray):
        std = 1 / math.sqrt(size_in) if std is None else std
        self.weight = truncated_normal(key, (size_in, size_out), std)
        self.bias = jnp.zeros(size_out) if bias else None

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


def convolve(
    x: Float[Array, "batch position in"], kernel: Float[Array, "width in out"]
) -> Float[Array, "batch position out"]:
    """Cross-correlation with zero padding to the same length."""
    return jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


class Conv(eqx.Module):
    """Plain convolution; also what a `StandardizedConv` becomes once its weights are fixed."""

    weight: Float[Array, "width in out"]
    bias: Float[Array, " out"]
    official: ClassVar = {"weight": "w", "bias": "b"}

    @classmethod
    def init(cls, size_in: int, size_out: int, width: int, *, key: PRNGKeyArray) -> "Conv":
        """Random weights."""
        weight_key, bias_key = jax.random.split(key)
        weight = truncated_normal(weight_key, (width, size_in, size_out), 1 / math.sqrt(width * size_in))
        return cls(weight, truncated_normal(bias_key, (size_out,), 1e-4))

    def __call__(self, x: Float[Array, "batch position in"]) -> Float[Array, "batch position out"]:
        return convolve(x, self.weight) + self.bias


class StandardizedConv(eqx.Module):
    """Convolution whose kernels are centred and scaled to unit norm for each output channel."""

    weight: Float[Array, "width in out"]
    scale: Float[Array, " out"]
    bias: Float[Array, " out"]
    official: ClassVar = {"weight": "w", "scale": "scale", "bias": "bias"}

    def __init__(self, size_in: int, size_out: int, width: int, *, key: PRNGKeyArray):
        weight_key, bias_key = jax.random.split(key)
        self.weight = truncated_normal(weight_key, (width, size_in, size_out), 1 / math.sqrt(width * size_in))
        self.scale = jnp.ones(size_out)
        self.bias = truncated_normal(bias_key, (size_out,), 1e-4)

    def kernel(self) -> Float[Array, "width in out"]:
        """The standardised weights; they do not depend on data."""
        centred = self.weight - jnp.mean(self.weight, axis=(0, 1))
        fan_in = self.weight.shape[0] * self.weight.shape[1]
        variance = jnp.var(centred, axis=(0, 1))
        return centred * (self.scale * jax.lax.rsqrt(jnp.maximum(fan_in * variance, 1e-4)))

    def __call__(self, x: Float[Array, "batch position in"]) -> Float[Array, "batch position out"]:
        return convolve(x, self.kernel()) + self.bias


@jax.custom_vjp
def _observe(running: Array, batch: Array) -> Array:
    return batch


def _observe_forward(running, batch):
    return batch, batch


def _observe_backward(batch, _):
    return batch, jnp.zeros_like(batch)


_observe.defvjp(_observe_forward, _observe_backward)


class RMSBatchNorm(eqx.Module):
    """y = x * scale / sqrt(second_moment + eps) + offset: no mean is ever subtracted.

    With `inference` the stored running moment is used. In training the batch's own (uncentred, float32, no gradient
    through it) takes its place, and the "gradient" with respect to `second_moment` *is* the batch's moment:
    `ag_core.training` overwrites the running value with it instead of descending. That keeps the network a
    pure function of its arrays, under vmap-free batches, rematerialisation and sharding alike.
    """

    scale: Float[Array, " channel"]
    offset: Float[Array, " channel"]
    second_moment: Float[Array, " channel"]
    inference: bool
    official: ClassVar = {"scale": "scale", "offset": "offset", "second_moment": "var_ema"}

    def __init__(self, channels: int, *, inference: bool = True):
        self.scale, self.offset, self.second_moment = jnp.ones(channels), jnp.zeros(channels), jnp.ones(channels)
        self.inference = inference

    def __call__(self, x: Float[Array, "batch *position channel"]) -> Float[Array, "batch *position channel"]:
        moment = self.second_moment
        if not self.inference:
            batch = jnp.mean(jnp.square(widen(x)), axis=tuple(range(x.ndim - 1)))
            moment = _observe(moment, jax.lax.stop_gradient(batch).astype(moment.dtype))
        return x * (self.scale * jax.lax.rsqrt(moment + EPSILON)) + self.offset


class LayerNorm(eqx.Module):
    """Layer norm on the last axis, with an offset in both variants; `centred` also subtracts the mean."""

    scale: Float[Array, " channel"]
    offset: Float[Array, " channel"]
    centred: bool = eqx.field(static=True)
    official: ClassVar = {"scale": "scale", "offset": "offset"}

    def __init__(self, channels: int, *, centred: bool):
        self.scale, self.offset, self.centred = jnp.ones(channels), jnp.zeros(channels), centred

    def __call__(self, x: Float[Array, "*batch channel"]) -> Float[Array, "*batch channel"]:
        if self.centred:
            x = x - jnp.mean(widen(x), axis=-1, keepdims=True).astype(x.dtype)
        mean_square = jnp.mean(jnp.square(widen(x)), axis=-1, keepdims=True)
        inverse = jax.lax.rsqrt(mean_square + EPSILON).astype(x.dtype)
        return (self.scale * inverse) * x + self.offset


class ConvBlock(eqx.Module):
    """Norm, GELU, then a width-5 standardised convolution or, for width 1, a linear layer.

    Zero padding comes after the activation, so the true end of a sequence differs from a run of N.
    """

    norm: RMSBatchNorm
    conv: StandardizedConv | Conv | Linear
    official: ClassVar = {
        "norm": "rms_batch_norm",
        "conv": {Linear: "linear", StandardizedConv: "standardized_conv1_d"},
    }

    def __init__(self, size_in: int, size_out: int, width: int, *, key: PRNGKeyArray):
        self.norm = RMSBatchNorm(size_in)
        self.conv = (
            Linear(size_in, size_out, key=key) if width == 1 else StandardizedConv(size_in, size_out, width, key=key)
        )

    def __call__(self, x: Float[Array, "batch position in"]) -> Float[Array, "batch position out"]:
        return self.conv(gelu_sigmoid(self.norm(x)))


def max_pool(x: Float[Array, "batch position channel"]) -> Float[Array, "batch half channel"]:
    """Maximum over pairs of positions."""
    batch, length, channels = x.shape
    return jnp.max(x.reshape(batch, length // 2, 2, channels), axis=2)


def mean_pool(x: Float[Array, "batch position channel"], width: int) -> Float[Array, "batch bin channel"]:
    """Mean over consecutive windows of `width` positions, divided in the type of `x`."""
    batch, length, channels = x.shape
    return jnp.sum(x.reshape(batch, length // width, width, channels), axis=2) / width
