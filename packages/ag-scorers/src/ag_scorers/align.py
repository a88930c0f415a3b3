"""Indel alignment: moves the rows of an ALT prediction into the frame of REF.

Predictions of the two alleles cover windows of one length that share their left end, so right of an indel equal
rows hold different bases. With n = len(ALT) - len(REF) and `anchor` the row of the last base both alleles share:

- n > 0: rows anchor..anchor+n become one row, their maximum; the rest moves left; the last n rows are set to 0;
- n < 0: -n rows of 0 are put in after the anchor; the rest moves right, and out of the window;
- n = 0: nothing moves.

Three scalars say all of it (`Alignment`), so one compiled program serves every variant, nothing large travels to
the device, and what follows can be fused with it: a 1 Mb window of 667 float32 tracks is 2.8 GB.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from jaxtyping import Array, Bool, Float, Int

# Rows pooled at a time.
_POOL = 64


class Alignment(NamedTuple):
    """Where an indel is and by how much it moves what follows; shapes do not depend on the variant.

    - `anchor`: row of the last shared base, counted from the window's genomic start; -1 when it is just outside.
    - `shift`: len(ALT) - len(REF), of the part of the variant inside the window.
    - `reverse`: whether rows run from the window's genomic end to its start (intervals on '-').
    """

    anchor: Int[Array | np.ndarray, ""]
    shift: Int[Array | np.ndarray, ""]
    reverse: Bool[Array | np.ndarray, ""]


def alignment(interval: Interval, variant: Variant, length: int, *, parity: bool = False) -> Alignment:
    """On the host: how to align predictions of `length` rows, one for each base of `interval`.

    Alleles are clipped to the window first, as they are when sequences are made, so that a variant outside moves
    nothing. With `parity` they are not, and an anchor before the window counts from its end, as in the reference.
    Raises ValueError when `length` is not the interval's width.
    """
    if length != interval.width:
        raise ValueError(
            f"cannot align {length} rows over {interval}, which has {interval.width} bp: indels are aligned base "
            "by base; give predictions at 1 bp resolution that cover the interval"
        )
    anchor, shift = 0, 0
    inside = variant if parity else _clip(variant, interval)
    if inside is not None:
        shared = min(len(inside.reference_bases), len(inside.alternate_bases))
        anchor, shift = inside.start - interval.start + shared - 1, inside.size_change
    if parity and anchor < 0:
        anchor += length
    return Alignment(np.asarray(anchor, np.int32), np.asarray(shift, np.int32), np.asarray(interval.negative_strand))


def _clip(variant: Variant, interval: Interval) -> Variant | None:
    """The part of a variant inside the interval, None when there is none."""
    if variant.chromosome != interval.chromosome:
        return None
    _, variant_right = variant.split(interval.start)
    return variant_right.split(interval.end)[0] if variant_right else None


def align_alternate(
    alt: Float[Array | np.ndarray, "position track"], alignment: Alignment
) -> Float[Array, "position track"]:
    """On the device: ALT predictions in the frame of REF (see the module's description).

    One gather and two selections: beyond the result, nothing of its size is made, and the compiler may fuse them
    into what consumes the result. For sums under masks, `aligned_sum` is cheaper.
    """
    alt = jnp.asarray(alt)
    return aligned_rows(alt, alignment, jnp.arange(alt.shape[0]))


def aligned_rows(
    alt: Float[Array | np.ndarray, "position track"], alignment: Alignment, rows: Int[Array, " row"]
) -> Float[Array, "row track"]:
    """On the device: some rows of `align_alternate(alt, alignment)`, without making the others."""
    alt = jnp.asarray(alt)
    length = alt.shape[0]
    row = _genomic(rows, length, alignment)
    moved = row > alignment.anchor
    source = jnp.where(moved, row + alignment.shift, row)
    # Rows at the end that an insertion pushed out, and the gap of a deletion.
    keep = (row < length - jnp.maximum(alignment.shift, 0)) & (~moved | (source > alignment.anchor))
    pooled = keep & (row == alignment.anchor) & (alignment.shift > 0)
    aligned = alt.at[_genomic(source, length, alignment)].get(mode="clip")
    aligned = jnp.where(keep[:, None], aligned, jnp.zeros((), alt.dtype))
    return jnp.where(pooled[:, None], _peak(alt, alignment), aligned)


def aligned_sum(
    mask: Bool[Array | np.ndarray, "position item"],
    alt: Float[Array | np.ndarray, "position track"],
    alignment: Alignment,
) -> Float[Array, "item track"]:
    """On the device: float32 sums of `align_alternate(alt, alignment)` over each item's rows.

    Moves the mask the other way rather than the values, and adds the pooled row by itself: nothing of the size of
    `alt` is made.
    """
    mask, alt = jnp.asarray(mask), jnp.asarray(alt)
    length = alt.shape[0]
    anchor, shift = alignment.anchor, alignment.shift
    row = _genomic(jnp.arange(length), length, alignment)
    moved = row > anchor + jnp.maximum(shift, 0)
    target = jnp.where(moved, row - shift, row)
    keep = (target < length - jnp.maximum(shift, 0)) & (moved | (row < anchor) | (shift <= 0))
    weights = keep[:, None] & mask.at[_genomic(target, length, alignment)].get(mode="clip")

    pooled = (shift > 0) & (anchor >= 0) & (anchor < length - shift)
    at_anchor = mask.at[_genomic(jnp.asarray(anchor), length, alignment)].get(mode="clip")
    pools = jnp.where(pooled & at_anchor[:, None], _peak(alt, alignment).astype(jnp.float32), 0.0)
    return masked_sum(weights, alt) + pools


def masked_sum(
    mask: Bool[Array | np.ndarray, "position item"], values: Float[Array | np.ndarray, "position track"]
) -> Float[Array, "item track"]:
    """On the device: float32 sums of `values` over each item's rows."""
    values = jnp.asarray(values)
    # HIGHEST: the default may round float32 operands to 10 bits (TF32) on a GPU.
    return jnp.einsum(
        "pi,pt->it",
        jnp.asarray(mask).astype(values.dtype),
        values,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )


def _genomic(row: Int[Array, "*any"], length: int, alignment: Alignment) -> Int[Array, "*any"]:
    """Rows counted from the window's genomic start, from rows as stored; also the other way round."""
    return jnp.where(alignment.reverse, length - 1 - row, row)


def _peak(alt: Float[Array, "position track"], alignment: Alignment) -> Float[Array, " track"]:
    """Maximum over the rows that an insertion pools; -inf, without reading `alt`, where nothing is inserted."""
    length = alt.shape[0]
    size = min(_POOL, length)
    run = alignment.anchor, alignment.anchor + alignment.shift
    ends = [_genomic(jnp.asarray(row), length, alignment) for row in run]
    first, last = jnp.maximum(jnp.minimum(*ends), 0), jnp.minimum(jnp.maximum(*ends), length - 1)
    blocks = jnp.where(alignment.shift > 0, (last - first) // size + 1, 0)

    def pool(block: Array, peak: Array) -> Array:
        # A block that would stick out is read further left: those rows are in the run, or masked.
        start = jnp.minimum(first + block * size, length - size)
        row = start + jnp.arange(size)
        values = jax.lax.dynamic_slice_in_dim(alt, start, size)
        inside = (row >= first) & (row <= last)
        return jnp.maximum(peak, jnp.max(jnp.where(inside[:, None], values, -jnp.inf), axis=0).astype(alt.dtype))

    return jax.lax.fori_loop(0, blocks, pool, jnp.full(alt.shape[1:], -jnp.inf, alt.dtype))
