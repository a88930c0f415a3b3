"""Multi-query attention of the tower: rotary positions, soft cap, pair bias. Source: spec/model.md 1.11-1.14."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from ag_core.layers import LayerNorm, Linear, RMSBatchNorm, einsum_float32, gelu_tanh, widen
from ag_core.mesh import DATA, SEQ, pin

MAX_TOKENS = 8192
SOFT_CAP = 5.0
# More queries than this are worked through in blocks.
MAX_QUERIES = 1024


def round_to(x: Array, dtype: jnp.dtype) -> Array:
    """Casts and forbids the compiler to keep more bits than `dtype` has."""
    if dtype == jnp.bfloat16:
        x = jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
    return x.astype(dtype)


def rotate(
    x: Float[Array, "*batch position head channel"],
    positions: Num[Array, "*batch position"] | None = None,
    maximum: int = MAX_TOKENS,
) -> Float[Array, "*batch position head channel"]:
    """Rotary embedding of interleaved channel pairs; `positions` default to 0, 1, 2, ...

    In bfloat16 the positions, frequencies, angles, cosines and sines are each rounded, as the reference does: beyond
    position 256 that is another function than the float32 one, not a noisy version of it (spec/model.md 2.3).
    """
    dtype = x.dtype
    if positions is None:
        positions = jnp.arange(x.shape[-3])
    half = x.shape[-1] // 2
    wavelengths = np.arange(half) + np.geomspace(1, maximum - half + 1, half)
    wide = jnp.promote_types(dtype, jnp.float32)
    frequencies = widen(round_to(1 / widen(round_to(jnp.asarray(wavelengths, wide), dtype)), dtype))
    angles = widen(round_to(positions.astype(wide), dtype))[..., None] * frequencies
    angles = widen(round_to(angles, dtype))[..., None, :]
    cosine, sine = round_to(jnp.cos(angles), dtype), round_to(jnp.sin(angles), dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cosine - odd * sine, odd * cosine + even * sine], axis=-1).reshape(x.shape)


def pick(
    x: Float[Array, "batch position channel"], rows: Int[Array, "batch wanted"]
) -> Float[Array, "batch wanted channel"]:
    """Some rows of each example."""
    return jnp.take_along_axis(x, rows[..., None], axis=1)


class MultiQueryAttention(eqx.Module):
    """Attention with one shared key and value head; queries, keys and values are all layer-normed."""

    norm: RMSBatchNorm
    query: Linear
    key: Linear
    value: Linear
    query_norm: LayerNorm
    key_norm: LayerNorm
    value_norm: LayerNorm
    output: Linear
    output_norm: RMSBatchNorm
    heads: int = eqx.field(static=True)
    official: ClassVar = {
        "norm": "rms_batch_norm",
        "query": "q_layer",
        "key": "k_layer",
        "value": "v_layer",
        "query_norm": "norm_q",
        "key_norm": "norm_k",
        "value_norm": "norm_v",
        "output": "linear_embedding",
        "output_norm": "rms_batch_norm_1",
    }

    def __init__(self, channels: int, heads: int, key_size: int, value_size: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 4)
        self.heads = heads
        self.norm, self.output_norm = RMSBatchNorm(channels), RMSBatchNorm(channels)
        self.query = Linear(channels, heads * key_size, bias=False, key=keys[0])
        self.key = Linear(channels, key_size, bias=False, key=keys[1])
        self.value = Linear(channels, value_size, bias=False, key=keys[2])
        self.query_norm, self.key_norm = LayerNorm(key_size, centred=True), LayerNorm(key_size, centred=True)
        self.value_norm = LayerNorm(value_size, centred=True)
        self.output = Linear(heads * value_size, channels, std=1e-6, key=keys[3])

    def __call__(
        self,
        x: Float[Array, "batch position channel"],
        bias: Float[Array, "batch head row column"],
        *,
        mesh: Mesh | None = None,
        rows: Int[Array, "batch wanted"] | None = None,
    ) -> Float[Array, "batch position channel"] | Float[Array, "batch wanted channel"]:
        """`bias` may be coarser than positions: each row and column then serves position/row of them.

        On one device long sequences are worked through in blocks of queries; on a `mesh` each device has its own
        queries and asks all keys. With `rows` only these positions ask and are answered.
        """
        batch, length, _ = x.shape
        h = self.norm(x)
        asking = h if rows is None else pick(h, rows)
        query = rotate(self.query_norm(self.query(asking).reshape(*asking.shape[:2], self.heads, -1)), rows)
        key = rotate(self.key_norm(self.key(h))[:, :, None])[:, :, 0]
        value = self.value_norm(self.value(h))
        blocks = self._blocks(length, bias.shape[-1]) if mesh is None and rows is None else 1
        if rows is not None:
            per_row = length // bias.shape[-2]
            bias = jax.vmap(lambda one, at: one[:, at])(bias, rows // per_row)
        if blocks == 1:
            attended = self._attend(query, bias, key, value, mesh)
        else:
            # Some queries at a time: the logits of 1 Mb would be 2 GB, several times over.
            queries = jnp.moveaxis(query.reshape(batch, blocks, -1, *query.shape[2:]), 1, 0)
            biases = jnp.moveaxis(bias.reshape(*bias.shape[:2], blocks, -1, bias.shape[-1]), 2, 0)
            attended = jax.lax.map(lambda part: self._attend(part[0], part[1], key, value), (queries, biases))
            attended = jnp.moveaxis(attended, 0, 1)
        y = self.output(attended.reshape(batch, asking.shape[1], -1))
        return self.output_norm(y)

    @staticmethod
    def _blocks(length: int, rows: int) -> int:
        # As few as are needed, but whole rows of the bias in each.
        least = -(-length // MAX_QUERIES)
        return next((n for n in range(least, rows + 1) if rows % n == 0), 1)

    def _attend(
        self,
        query: Float[Array, "batch query head channel"],
        bias: Float[Array, "batch head row column"],
        key: Float[Array, "batch position channel"],
        value: Float[Array, "batch position value"],
        mesh: Mesh | None = None,
    ) -> Float[Array, "batch query head value"]:
        # Pinned, and so their gradients: else the partitioner turns logits over before they are summed to bins.
        query, bias = pin(query, mesh, DATA, SEQ), pin(bias, mesh, DATA, None, SEQ)
        logits = pin(einsum_float32("bqhc,bkc->bhqk", query, key), mesh, DATA, None, SEQ) / math.sqrt(key.shape[-1])
        # The dense bias would be as large as the logits: add it block by block instead.
        rows, columns = bias.shape[-2:]
        blocks = logits.reshape(*logits.shape[:2], rows, logits.shape[2] // rows, columns, logits.shape[3] // columns)
        logits = (blocks + widen(bias)[:, :, :, None, :, None]).reshape(logits.shape)
        weights = jax.nn.softmax(SOFT_CAP * jnp.tanh(logits / SOFT_CAP), axis=-1)
        return einsum_float32("bhqk,bkc->bqhc", weights.astype(value.dtype), value).astype(query.dtype)


class AttentionBias(eqx.Module):
    """From the pair state to one bias for each head and pair of 2,048-bp bins; not symmetrised."""

    norm: RMSBatchNorm
    linear: Linear
    official: ClassVar = {"norm": "rms_batch_norm", "linear": "linear"}

    def __init__(self, pair_size: int, heads: int, *, key: PRNGKeyArray):
        self.norm = RMSBatchNorm(pair_size)
        self.linear = Linear(pair_size, heads, bias=False, std=0.0, key=key)

    def __call__(self, pair: Float[Array, "batch row column pair"]) -> Float[Array, "batch head row column"]:
        return jnp.moveaxis(self.linear(gelu_tanh(self.norm(pair))), -1, 1)


class MLP(eqx.Module):
    """The tower's feed-forward block: norm, expand twofold, ReLU, contract, norm."""

    norm: RMSBatchNorm
    expand: Linear
    contract: Linear
    output_norm: RMSBatchNorm
    official: ClassVar = {
        "norm": "rms_batch_norm",
        "expand": "linear",
        "contract": "linear_1",
        "output_norm": "rms_batch_norm_1",
    }

    def __init__(self, channels: int, *, key: PRNGKeyArray):
        expand_key, contract_key = jax.random.split(key)
        self.norm, self.output_norm = RMSBatchNorm(channels), RMSBatchNorm(channels)
        self.expand = Linear(channels, 2 * channels, key=expand_key)
        self.contract = Linear(2 * channels, channels, std=1e-6, key=contract_key)

    def __call__(self, x: Float[Array, "batch position channel"]) -> Float[Array, "batch position channel"]:
        return self.output_norm(self.contract(jax.nn.relu(self.expand(self.norm(x)))))
