"""Embeddings of sequences that differ little from a reference, at some places only: exact, for a fraction of the work.

The reference goes through encoder and tower once. An alternative sequence gets its features by correction (`features`),
goes through the tower, and is decoded only where somebody reads (`decoding`). See docs/partial-evaluation.md.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from ag_core.backbone import Backbone
from ag_core.config import TOKEN
from ag_core.decoding import decode
from ag_core.features import Features, Patch, cut, encode, patch, patched_trunk, recompute
from ag_core.spans import ENCODER_HALO

# Edits (bp from the first to the last changed base) are padded to one of these; longer ones are recomputed.
EDITS = (1, 8, 64)
# Stretches that are recomputed are whole multiples of this share of the sequence.
_SHARES = 8


class Change(NamedTuple):
    """How far an alternative differs from its reference: what decides which program computes it."""

    patched: bool
    size: int  # bp

    def cost(self, length: int) -> float:
        """Share of the encoder's work."""
        return 0.0 if self.patched else min(self.size + 2 * ENCODER_HALO, length) / length


def find_change(ref: UInt8[np.ndarray, " position"], alt: UInt8[np.ndarray, " position"]) -> tuple[Change, int]:
    """On the host: the change from `ref` to `alt` (base codes), and the base where it starts (for `alternate`)."""
    length = len(ref)
    differ = np.flatnonzero(ref != alt)
    first, last = (int(differ[0]), int(differ[-1]) + 1) if len(differ) else (0, 1)
    if last - first <= EDITS[-1]:
        size = next(edit for edit in EDITS if edit >= last - first)
        return Change(True, size), min(first, length - size)
    first = max(first - ENCODER_HALO, 0) // TOKEN * TOKEN
    unit = max(length // _SHARES // TOKEN, 1) * TOKEN
    size = min(-(-(min(last + ENCODER_HALO, length) - first) // unit) * unit, length)
    return Change(False, size), min(first, length - size)


class Sequences(NamedTuple):
    """Sequences that have been through the tower.

    `features[which[i]]`, overlaid by `patch`, are those of sequence i; `pair` is the pair state, not yet an embedding.
    """

    tokens: Float[Array, "sequence token channel"]
    pair: Float[Array, "sequence row column channel"]
    features: Features
    which: Int[Array, " sequence"]
    patch: Patch | None


def reference(backbone: Backbone, codes: UInt8[Array, "sequence position"], organism: int, dtype: str) -> Sequences:
    """Everything about the sequences that others are compared with."""
    features = encode(backbone, codes, dtype)
    tokens, pair = _tower(backbone, features.trunk, organism)
    return Sequences(tokens, pair, features, jnp.arange(len(codes)), None)


def _run_tower(backbone: Backbone, trunk: Array, organism: int, rows: Array | None = None) -> tuple[Array, Array]:
    if backbone.organism is not None:
        trunk = backbone.organism.add(trunk, jnp.full(len(trunk), organism, jnp.int32))
    return backbone.tower(trunk, rows=rows)


_tower = eqx.filter_jit(_run_tower)


def alternate(
    backbone: Backbone,
    ref: Sequences,
    which: Int[Array, " sequence"],
    codes: UInt8[Array, "sequence position"],
    first: Int[Array, " sequence"],
    change: Change,
    organism: int,
    rows: Int[Array, "sequence token"] | None = None,
) -> Sequences:
    """Sequences that differ from the references `which` by a `change` (static) that starts at `first`; jittable.

    - `rows`: the tokens that will be read; None for all.
    """
    if change.patched:
        new = patch(backbone, ref.features, which, codes, first, change.size)
        tokens, pair = _run_tower(backbone, patched_trunk(ref.features, which, new), organism, rows)
        return Sequences(tokens, pair, ref.features, which, new)
    features = recompute(backbone, ref.features, which, codes, first, change.size)
    tokens, pair = _run_tower(backbone, features.trunk, organism, rows)
    return Sequences(tokens, pair, features, jnp.arange(len(codes)), None)


def joint(ref: Sequences, alt: Sequences) -> Sequences | None:
    """References and their patched alternatives as one; None where their features are not the same arrays."""
    if alt.patch is None or ref.features is not alt.features:
        return None

    def put_before(values: Array, empty: int) -> Array:
        return jnp.concatenate([jnp.full((len(ref.tokens), *values.shape[1:]), empty, values.dtype), values])

    # A patch of zeros far before the first bin hides nothing.
    nowhere = -(2**30)
    patch = Patch([put_before(x, nowhere) for x in alt.patch.starts], [put_before(x, 0) for x in alt.patch.values])
    tokens, pair, which = (
        jnp.concatenate([getattr(ref, name), getattr(alt, name)]) for name in ("tokens", "pair", "which")
    )
    return Sequences(tokens, pair, ref.features, which, patch)


class TokenEmbeddings(NamedTuple):
    """Embeddings of some tokens of each sequence: at 1 bp (None if nobody wants them) and at 128 bp."""

    bp1: Float[Array, "sequence token 128 channel"] | None
    bp128: Float[Array, "sequence token channel_128"]


def embed_tokens(
    backbone: Backbone, sequences: Sequences, starts: Int[Array, "sequence piece"], size: int, organism: int
) -> TokenEmbeddings:
    """Embeddings of `size` (static) tokens from each of `starts`; jittable."""
    count, pieces = starts.shape
    coarse = _coarse(backbone, sequences.tokens, starts, size, organism)
    fine = decode(backbone, sequences.tokens, sequences.features, sequences.which, sequences.patch, starts, size)
    fine = backbone.embedder_1(fine, coarse, jnp.full(count * pieces, organism, jnp.int32))
    shape = count, pieces * size
    return TokenEmbeddings(fine.reshape(*shape, TOKEN, -1), coarse.reshape(*shape, -1))


def embed_bins(
    backbone: Backbone, sequences: Sequences, bins: Int[Array, "sequence bin"], organism: int
) -> Float[Array, "sequence bin channel_128"]:
    """Embeddings at 128 bp of some bins of each sequence; jittable."""
    tokens = jnp.take_along_axis(sequences.tokens, bins[..., None], axis=1)
    return backbone.embedder_128(tokens, None, jnp.full(len(tokens), organism, jnp.int32))


def _coarse(backbone: Backbone, tokens: Array, starts: Array, size: int, organism: int) -> Array:
    sequence = jnp.repeat(jnp.arange(len(tokens)), starts.shape[1])
    parts = cut(tokens, sequence, starts.ravel(), size)
    return backbone.embedder_128(parts, None, jnp.full(len(parts), organism, jnp.int32))
