"""ALT's predictions in the frame of REF, as `ag_scorers.align` moves them, in a form that can be differentiated.

There a loop of unknown length takes the largest of the inserted rows, which has no gradient; here the rows are listed.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from jaxtyping import Array, Bool, Float, Int

from ag_scorers.align import alignment


class Moves(NamedTuple):
    """For each row of REF's frame the row of ALT that comes there, and whether any does (0 else).

    `pooled` are the rows of ALT whose largest values go to row `anchor`; empty but for insertions.
    """

    source: Int[Array | np.ndarray, " position"]
    kept: Bool[Array | np.ndarray, " position"]
    anchor: Int[Array | np.ndarray, ""]
    pooled: Int[Array | np.ndarray, " inserted"]


def make_moves(window: Interval, variant: Variant) -> Moves:
    """On the host: how rows at 1 bp over an unstranded window move (spec/scoring.md 1.9)."""
    length, found = window.width, alignment(window, variant, window.width)
    anchor, shift = int(found.anchor), int(found.shift)
    row = np.arange(length)
    source = np.where(row > anchor, row + shift, row)
    kept = (row < length - max(shift, 0)) & ((row <= anchor) | (source > anchor))
    pooled = np.zeros(0, np.int32)
    if shift > 0 and 0 <= anchor < length - shift:
        pooled = np.arange(anchor, anchor + shift + 1, dtype=np.int32)
    return Moves(np.clip(source, 0, length - 1).astype(np.int32), kept, np.asarray(anchor, np.int32), pooled)


def move(
    values: Float[Array, "position track"], moves: Moves, *, reverse: bool = False
) -> Float[Array, "position track"]:
    """On the device: `align_alternate`; with `reverse`, rows run from the window's end to its start."""
    values = values[::-1] if reverse else values
    moved = jnp.where(jnp.asarray(moves.kept)[:, None], values[jnp.asarray(moves.source)], jnp.zeros((), values.dtype))
    if len(moves.pooled):
        moved = moved.at[moves.anchor].set(values[jnp.asarray(moves.pooled)].max(axis=0))
    return moved[::-1] if reverse else moved
