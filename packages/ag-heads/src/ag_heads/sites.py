"""Which positions are splice sites: selection from class probabilities. Source: spec/model.md 3.6.

Rows are always donor on +, acceptor on +, donor on -, acceptor on -. Ties go to the lowest position.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

CLASSES = 4
PADDING = -1
_LAST = jnp.iinfo(jnp.int32).max


def strongest(
    values: Float[Array, "row position"], count: int
) -> tuple[Float[Array, "row best"], Int[Array, "row best"]]:
    """The (at most) `count` largest values of each row and where they are."""
    best, positions = jax.lax.top_k(values, min(count, values.shape[-1]))
    return best, positions


def arrange(
    values: Float[Array, "row best"], positions: Int[Array, "row best"], count: int, threshold: float
) -> tuple[Int[Array, "row count"], Int[Array, "row best"]]:
    """Positions whose value reaches `threshold`, ascending, then -1 up to `count`; and the order that sorts them.

    The threshold is compared in the type of `values`, so that bfloat16 probabilities meet a bfloat16 threshold.
    """
    kept = jnp.where((values >= threshold) & (positions >= 0), positions, _LAST)
    order = jnp.argsort(kept, axis=-1, stable=True)
    positions = jnp.take_along_axis(kept, order, axis=-1)
    positions = jnp.where(positions == _LAST, PADDING, positions)
    missing = count - positions.shape[-1]
    return jnp.pad(positions, ((0, 0), (0, missing)), constant_values=PADDING), order


def select_sites(
    probabilities: Float[Array, "position label"], count: int, threshold: float, pad_to: int | None = None
) -> Int[Array, "row site"]:
    """Positions (0-based, in the window) of up to `count` sites of each class with at least `threshold`.

    Ascending; -1 fills up to `pad_to` (default `count`). Labels after the fourth are not looked at.
    """
    values, positions = strongest(probabilities[:, :CLASSES].T, count)
    return arrange(values, positions, count if pad_to is None else pad_to, threshold)[0]
