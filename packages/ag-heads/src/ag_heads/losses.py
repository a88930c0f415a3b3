"""Losses on tracks. Source: spec/model.md 3.7."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

SEGMENT = 131_072
POSITIONAL_WEIGHT = 5.0
EPSILON = 1e-7


def masked_mean(x: Float[Array, "*shape"], mask: Bool[Array, "*other"]) -> Float[Array, ""]:
    """Mean over unmasked elements; 0 when there are none."""
    mask = jnp.broadcast_to(mask, x.shape)
    return jnp.sum(jnp.where(mask, x, 0.0), dtype=jnp.float32) / jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)


def poisson(targets: Float[Array, "*shape"], predictions: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Poisson negative log-likelihood, shifted so that its minimum is 0."""
    counts = jnp.abs(targets)
    lowest = counts - counts * jnp.log(counts + EPSILON)
    return predictions - counts * jnp.log(predictions + EPSILON) - lowest


def track_loss(
    targets: Float[Array, "position track"],
    predictions: Float[Array, "position track"],
    mask: Bool[Array, "position track"],
    *,
    segment: int,
) -> Float[Array, ""]:
    """Poisson loss on the sum of each segment of `segment` positions plus 5 x the loss of how it is distributed.

    Both arrays are in model space; what is masked (False) counts neither way. A sequence shorter than a segment is
    one segment.
    """
    length, tracks = predictions.shape
    segment = min(segment, length)
    shape = (-1, segment, tracks)
    m = mask.reshape(shape)
    t = jnp.where(m, jnp.maximum(targets, 0).astype(jnp.float32).reshape(shape), 0)
    p = jnp.where(m, predictions.astype(jnp.float32).reshape(shape), 0)
    total = jnp.sum(p, axis=1)
    count = masked_mean(poisson(jnp.sum(t, axis=1), total), jnp.any(m, axis=1)) / segment
    share = p / (total[:, None] + EPSILON)
    return count + POSITIONAL_WEIGHT * masked_mean(-t * jnp.log(share + EPSILON), m)
