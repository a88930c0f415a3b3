"""The pair stack: a picture of who meets whom, at 2,048-bp bins. Source: spec/model.md 1.15."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ag_core.layers import LayerNorm, Linear, einsum_float32, gelu_tanh, mean_pool, truncated_normal

# 2**20 bp in pair bins: the width of the relative-position code, whatever the sequence length.
MAX_BINS = 512
TOKENS_PER_BIN = 16


def position_features(offsets: np.ndarray, count: int, maximum: int = MAX_BINS) -> Float[np.ndarray, "offset features"]:
    """For each offset, `count` indicators of |offset| below a growing width, then the same times its sign."""
    widths = np.arange(count) + np.geomspace(1, maximum - count + 1, count, endpoint=False)
    inside = (widths[None, :] > np.abs(offsets)[:, None]).astype(np.float32)
    return np.concatenate([inside, np.sign(offsets)[:, None] * inside], axis=1).astype(np.float32)


def by_difference(x: Float[Array, "*batch row offset"]) -> Float[Array, "*batch row column"]:
    """Picks, for row i and column j, the entry of offset j - i; entry k of `x` is offset k - rows.

    A gather costs no communication when rows are sharded; the usual pad-and-reshape shift does.
    """
    rows = x.shape[-2]
    i, j = np.arange(rows)[:, None], np.arange(rows)[None, :]
    index = jnp.asarray(j - i + rows)
    return jnp.take_along_axis(x, jnp.broadcast_to(index, (*x.shape[:-1], rows)), axis=-1)


class SequenceToPair(eqx.Module):
    """Outer product of the pooled tokens with relative positions."""

    norm: LayerNorm
    query: Linear
    key: Linear
    positions: Linear
    query_bias: Float[Array, "head size"]
    key_bias: Float[Array, "head size"]
    pair: Linear
    row: Linear
    column: Linear
    official: ClassVar = {
        "norm": "norm_seq2pair",
        "query": "linear_q",
        "key": "linear_k",
        "positions": "linear_pos_features",
        "query_bias": "q_r_bias",
        "key_bias": "k_r_bias",
        "pair": "linear_pair",
        "row": "linear_y_q",
        "column": "linear_y_k",
    }

    def __init__(self, channels: int, heads: int, size: int, pair_size: int, features: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 8)
        self.norm = LayerNorm(channels, centred=False)
        self.query = Linear(channels, heads * size, bias=False, key=keys[0])
        self.key = Linear(channels, heads * size, bias=False, key=keys[1])
        self.positions = Linear(2 * features, heads * size, key=keys[2])
        # Variance scaling 2 over the head axis (spec/model.md 4.3); this initialiser corrects for the cut.
        std = math.sqrt(2 / heads) / 0.87962566103423978
        bias_keys = jax.random.split(keys[3])
        self.query_bias = truncated_normal(bias_keys[0], (heads, size), std)
        self.key_bias = truncated_normal(bias_keys[1], (heads, size), std)
        self.pair = Linear(heads, pair_size, key=keys[4])
        self.row = Linear(channels, pair_size, bias=False, key=keys[5])
        self.column = Linear(channels, pair_size, bias=False, key=keys[6])

    def __call__(self, x: Float[Array, "batch position channel"]) -> Float[Array, "batch row column pair"]:
        h = self.norm(mean_pool(x, TOKENS_PER_BIN))
        batch, bins, _ = h.shape
        shape = (batch, bins, *self.query_bias.shape)
        query, key = self.query(h).reshape(shape), self.key(h).reshape(shape)
        features = position_features(np.arange(-bins, bins), self.positions.weight.shape[0] // 2)
        code = self.positions(jnp.asarray(features, x.dtype)).reshape(2 * bins, *self.query_bias.shape)
        content = jnp.einsum("bihc,bjhc->bhij", query, key)
        from_query = by_difference(jnp.einsum("bihc,ohc->bhio", query + self.query_bias, code))
        # Entry [j, i] looks at offset i - j, so that columns become rows after the swap.
        from_key = by_difference(jnp.einsum("bjhc,ohc->bhjo", key + self.key_bias, code))
        logits = content + 0.5 * (from_query + jnp.swapaxes(from_key, -1, -2))
        y = gelu_tanh(h)
        return self.pair(jnp.moveaxis(logits, 1, -1)) + self.row(y)[:, :, None] + self.column(y)[:, None, :]


class RowAttention(eqx.Module):
    """Each row of the pair state attends along its columns; one head, no output projection."""

    norm: LayerNorm
    query: Linear
    key: Linear
    value: Linear
    official: ClassVar = {"norm": "layer_norm", "query": "linear_q", "key": "linear_k", "value": "linear_v"}

    def __init__(self, pair_size: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 3)
        self.norm = LayerNorm(pair_size, centred=False)
        self.query = Linear(pair_size, pair_size, bias=False, key=keys[0])
        self.key = Linear(pair_size, pair_size, bias=False, key=keys[1])
        self.value = Linear(pair_size, pair_size, std=1e-6, key=keys[2])

    def __call__(self, pair: Float[Array, "batch row column pair"]) -> Float[Array, "batch row column pair"]:
        h = self.norm(pair)
        query, key, value = self.query(h), self.key(h), self.value(h)
        logits = einsum_float32("bpic,bpjc->bpij", query, key)
        weights = jax.nn.softmax(logits / math.sqrt(key.shape[-1]), axis=-1).astype(value.dtype)
        attended = einsum_float32("bpij,bpjc->bpic", weights, value)
        return attended.astype(pair.dtype)


class PairMLP(eqx.Module):
    """Feed-forward block on the pair state."""

    norm: LayerNorm
    expand: Linear
    contract: Linear
    official: ClassVar = {"norm": "layer_norm", "expand": "linear", "contract": "linear_1"}

    def __init__(self, pair_size: int, *, key: PRNGKeyArray):
        expand_key, contract_key = jax.random.split(key)
        self.norm = LayerNorm(pair_size, centred=False)
        self.expand = Linear(pair_size, 2 * pair_size, key=expand_key)
        self.contract = Linear(2 * pair_size, pair_size, std=1e-6, key=contract_key)

    def __call__(self, pair: Float[Array, "batch row column pair"]) -> Float[Array, "batch row column pair"]:
        return self.contract(jax.nn.relu(self.expand(self.norm(pair))))


class PairUpdate(eqx.Module):
    """Adds what the sequence says now, then lets the pair state think."""

    sequence_to_pair: SequenceToPair
    row_attention: RowAttention
    mlp: PairMLP
    official: ClassVar = {
        "sequence_to_pair": "sequence_to_pair_block",
        "row_attention": "row_attention_block",
        "mlp": "pair_mlp_block",
    }

    def __init__(self, channels: int, heads: int, size: int, pair_size: int, features: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 3)
        self.sequence_to_pair = SequenceToPair(channels, heads, size, pair_size, features, key=keys[0])
        self.row_attention = RowAttention(pair_size, key=keys[1])
        self.mlp = PairMLP(pair_size, key=keys[2])

    def __call__(
        self, x: Float[Array, "batch position channel"], pair: Float[Array, "batch row column pair"] | None
    ) -> Float[Array, "batch row column pair"]:
        update = self.sequence_to_pair(x)
        pair = update if pair is None else pair + update
        pair = pair + self.row_attention(pair)
        return pair + self.mlp(pair)
