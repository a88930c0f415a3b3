"""The decoder on stretches of a sequence, exactly as on the whole: halos level by level (`spans.decoder_slices`)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ag_core.backbone import Backbone
from ag_core.config import TOKEN
from ag_core.features import Features, Patch, cut, overlaid
from ag_core.spans import decoder_slices


def decode(
    backbone: Backbone,
    tokens: Float[Array, "sequence token channel"],
    features: Features,
    which: Int[Array, " sequence"],
    patch: Patch | None,
    starts: Int[Array, "sequence piece"],
    size: int,
) -> Float[Array, "stretch position stem"]:
    """The decoder's output for `size` (static) tokens from each of `starts`, for each sequence; jittable.

    `tokens` have been through the tower. What the decoder reads of the encoder is that of `features[which]`, overlaid
    by `patch`. Stretches of one sequence follow each other.
    """
    count, pieces = starts.shape
    length, kept = tokens.shape[1] * TOKEN, size * TOKEN
    sequence = jnp.repeat(jnp.arange(count), pieces)
    place = starts.ravel() * TOKEN  # bp
    slices = decoder_slices()
    x, begin, resolution = tokens, jnp.zeros_like(place), TOKEN
    for level, (block, part) in enumerate(zip(backbone.decoder.blocks, slices, strict=True)):
        read = min(kept + 2 * part.halo, length)
        start = jnp.clip(place - part.halo, 0, length - read)
        source = sequence if level == 0 else jnp.arange(len(sequence))
        x = cut(x, source, (start - begin) // resolution, read // resolution)
        begin, resolution = start, resolution // 2
        depth = len(slices) - 1 - level
        x = block(x, _skip(features, which, patch, depth, sequence, start // resolution, read // resolution))
    return cut(x, jnp.arange(len(sequence)), place - begin, kept)


def tokens_read(starts: Int[Array, "sequence piece"], size: int, total: int) -> Int[Array, "sequence token"]:
    """The tokens that `decode` reads, of `total`; some may occur twice."""
    halo = decoder_slices()[0].halo // TOKEN
    read = min(size + 2 * halo, total)
    first = jnp.clip(starts - halo, 0, total - read)
    return (first[..., None] + jnp.arange(read)).reshape(len(starts), -1)


def _skip(
    features: Features,
    which: Int[Array, " sequence"],
    patch: Patch | None,
    depth: int,
    sequence: Int[Array, " stretch"],
    start: Int[Array, " stretch"],
    size: int,
) -> Float[Array, "stretch _ channel"]:
    source = which[sequence]
    if patch is None:
        return cut(features.skips[depth], source, start, size)
    return overlaid(
        features.skips[depth], source, patch.starts[depth][sequence], patch.values[depth][sequence], start, size
    )
