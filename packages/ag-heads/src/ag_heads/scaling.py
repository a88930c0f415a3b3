"""Between experimental units and model space. Source: spec/model.md 3.3.

Model space divides a track by its mean over non-zero positions, optionally squashes, and compresses what exceeds 10.
"""

import jax.numpy as jnp
from ag_core.layers import widen
from jaxtyping import Array, Float

SOFT_CLIP = 10.0
SQUASH = 0.75


def soft_clip(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Identity up to 10, then 2*sqrt(10 x) - 10."""
    return jnp.where(x > SOFT_CLIP, 2 * jnp.sqrt(SOFT_CLIP * jnp.maximum(x, SOFT_CLIP)) - SOFT_CLIP, x)


def undo_soft_clip(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The inverse of `soft_clip`."""
    return jnp.where(x > SOFT_CLIP, jnp.square(x + SOFT_CLIP) / (4 * SOFT_CLIP), x)


def scale_targets(
    targets: Float[Array, "position track"], means: Float[Array, " track"], resolution: int, *, squash: bool
) -> Float[Array, "position track"]:
    """From experimental units (sum over `resolution` bp) to model space."""
    x = widen(targets) / (means * resolution)
    if squash:
        x = jnp.power(x, SQUASH)
    return soft_clip(x)


def unscale_predictions(
    scaled: Float[Array, "position track"], means: Float[Array, " track"], resolution: int, *, squash: bool
) -> Float[Array, "position track"]:
    """From model space to experimental units (sum over `resolution` bp)."""
    x = undo_soft_clip(scaled)
    if squash:
        x = jnp.power(x, 1 / SQUASH)
    return x * (means * resolution)
