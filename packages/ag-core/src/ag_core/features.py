"""What the encoder makes of a sequence, whole or by correcting what it made of a similar one.

A substitution changes a few bins at each level (`spans.changed_widths`): those are computed anew from their
neighbours, all else is the other sequence's. What lies behind an indel falls into other bins and is computed anew,
what lies before it is not. Both are exact (design 5.1).
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from ag_core.backbone import Backbone
from ag_core.config import TOKEN
from ag_core.layers import max_pool
from ag_core.sequence import one_hot
from ag_core.spans import BLOCK_HALO, ENCODER_HALO, STEM_HALO, changed_widths, cover

PIECE = 65_536


class Features(NamedTuple):
    """The encoder's output: 128-bp tokens (before the tower), and what the decoder reads at 1, 2, ..., 64 bp."""

    trunk: Float[Array, "sequence token channel"]
    skips: list[Float[Array, "sequence _ _"]]


class Patch(NamedTuple):
    """Stretches of features that differ from those of another sequence: first bin and values, at each level."""

    starts: list[Int[Array, " sequence"]]
    values: list[Float[Array, "sequence _ _"]]


def encode(
    backbone: Backbone,
    codes: UInt8[Array, "sequence position"],
    dtype: str,
    *,
    piece: int = 2 * PIECE,
    skips: bool = True,
) -> Features:
    """Features of whole sequences; longer ones are computed `piece` bp at a time, which saves memory.

    Without `skips` only the tokens are kept.
    """
    length = codes.shape[1]
    if length <= piece:
        features = _encode(backbone, codes, dtype)
        return features if skips else features._replace(skips=[])
    features = None
    for span in cover(length, piece, ENCODER_HALO):
        part = _encode(backbone, codes[:, span.start : span.start + span.length], dtype)
        part = part if skips else part._replace(skips=[])
        features = empty(part, length, span.length) if features is None else features
        place = jnp.asarray(span.keep), jnp.asarray(span.offset)
        features = store(features, part, *place, kept=span.kept, length=span.length)
    assert features is not None  # a length is positive
    return features


@eqx.filter_jit
def _encode(backbone: Backbone, codes: UInt8[Array, "sequence position"], dtype: str) -> Features:
    return Features(*backbone.encoder(one_hot(codes).astype(dtype)))


def cut(
    x: Float[Array, "source position channel"], which: Int[Array, " stretch"], start: Int[Array, " stretch"], size: int
) -> Float[Array, "stretch _ channel"]:
    """`size` (static) rows from `start` of each of the sources `which`."""
    if size == x.shape[1] and len(which) == len(x) == 1:
        return x
    return jax.vmap(lambda i, first: jax.lax.dynamic_slice(x, (i, first, 0), (1, size, x.shape[-1]))[0])(which, start)


def overlaid(
    ref: Float[Array, "source position channel"],
    which: Int[Array, " sequence"],
    patch_start: Int[Array, " sequence"],
    patch: Float[Array, "sequence _ channel"],
    start: Int[Array, " sequence"],
    size: int,
) -> Float[Array, "sequence {size} channel"]:
    """`size` rows from `start` of each sequence: those of its source, where its patch does not say otherwise."""
    rows = start[:, None] + jnp.arange(size)
    place = rows - patch_start[:, None]
    inside = (place >= 0) & (place < patch.shape[1])
    new = jnp.take_along_axis(patch, jnp.clip(place, 0, patch.shape[1] - 1)[..., None], axis=1)
    return jnp.where(inside[..., None], new, cut(ref, which, start, size))


def patch(
    backbone: Backbone,
    ref: Features,
    which: Int[Array, " sequence"],
    codes: UInt8[Array, "sequence position"],
    first: Int[Array, " sequence"],
    edit: int,
) -> Patch:
    """What differs between the features of `codes` and those of the sources `which` in `ref`.

    The codes differ from their source's within [first, first + edit) only. Jittable, `edit` being static.
    """
    length = codes.shape[1]
    starts, values = [], []
    widths = changed_widths(edit)
    start = first - STEM_HALO
    for level, layer in enumerate((backbone.encoder.stem, *backbone.encoder.blocks)):
        bins = length // 2**level
        halo = STEM_HALO if level == 0 else BLOCK_HALO
        width, read = min(widths[level], bins), min(widths[level] + 2 * halo, bins)
        if level:
            start = starts[-1] // 2 - BLOCK_HALO
        start = jnp.clip(start, 0, bins - width)
        begin = jnp.clip(start - halo, 0, bins - read)
        if level == 0:
            x = jax.vmap(lambda code, b: jax.lax.dynamic_slice(code, (b,), (read,)))(codes, begin)  # noqa: B023
            x = one_hot(x).astype(ref.trunk.dtype)
        else:
            x = max_pool(overlaid(ref.skips[level - 1], which, starts[-1], values[-1], 2 * begin, 2 * read))
        values.append(_rows(layer(x), start - begin, width))
        starts.append(start)
    tokens = length // TOKEN
    width = min(widths[-1], tokens)
    start = jnp.clip(starts[-1] // 2, 0, tokens - width)
    pooled = max_pool(overlaid(ref.skips[-1], which, starts[-1], values[-1], 2 * start, 2 * width))
    return Patch([*starts, start], [*values, pooled])


def _rows(x: Float[Array, "sequence position channel"], start: Int[Array, " sequence"], size: int) -> Array:
    return cut(x, jnp.arange(len(x)), start, size)


def patched_trunk(ref: Features, which: Int[Array, " sequence"], new: Patch) -> Float[Array, "sequence token channel"]:
    """All tokens of the patched sequences."""

    def put(i: Array, values: Array, start: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(ref.trunk[i], values, start, axis=0)

    return jax.vmap(put)(which, new.values[-1], new.starts[-1])


def recompute(
    backbone: Backbone,
    ref: Features,
    which: Int[Array, " sequence"],
    codes: UInt8[Array, "sequence position"],
    first: Int[Array, " sequence"],
    size: int,
) -> Features:
    """Features of `codes`, which differ from their sources' within the tokens of [first, first + size) bp only.

    That is where the features differ, not the codes: up to `spans.ENCODER_HALO` more. `first` and `size` (static) are
    whole tokens. Jittable.
    """
    length = codes.shape[1]
    size = min(size, length)
    read = min(size + 2 * ENCODER_HALO, length)
    keep = jnp.clip(first, 0, length - size)
    begin = jnp.clip(keep - ENCODER_HALO, 0, length - read)
    part = jax.vmap(lambda code, b: jax.lax.dynamic_slice(code, (b,), (read,)))(codes, begin)
    trunk, skips = backbone.encoder(one_hot(part).astype(ref.trunk.dtype))

    def put(old: Array, new: Array) -> Array:
        bin_size = length // old.shape[1]
        exact = _rows(new, (keep - begin) // bin_size, size // bin_size)
        update = jax.vmap(lambda i, x, s: jax.lax.dynamic_update_slice_in_dim(old[i], x, s, axis=0))
        return update(which, exact, keep // bin_size)

    return jax.tree.map(put, ref, Features(trunk, skips))


def empty(part: Features, length: int, part_length: int) -> Features:
    """Zeros for a sequence of `length` bp, in the shapes of a part of it."""
    return jax.tree.map(
        lambda x: jnp.zeros((x.shape[0], length * x.shape[1] // part_length, x.shape[2]), x.dtype), part
    )


@functools.partial(jax.jit, donate_argnums=0, static_argnames=("kept", "length"))
def store(whole: Features, part: Features, keep: Array, offset: Array, *, kept: int, length: int) -> Features:
    """Copies what is exact of a slice (`length` bp) into the features of the whole sequence, in place."""

    def copy(to: Array, source: Array) -> Array:
        bin_size = length // source.shape[1]
        exact = jax.lax.dynamic_slice_in_dim(source, offset // bin_size, kept // bin_size, axis=1)
        return jax.lax.dynamic_update_slice_in_dim(to, exact, keep // bin_size, axis=1)

    return jax.tree.map(copy, whole, part)
