"""Indel alignment: moves the rows of an ALT prediction into the frame of REF.

Predictions of the two alleles cover windows of one length that share their left end, so right of an indel equal
rows hold different bases. With n = len(ALT) - len(REF) and `anchor` the row of the last base both alleles share:

- n > 0: rows anchor..anchor+n become one row, their maximum; the rest moves left; the last n rows are set to 0;
- n < 0: -n rows of 0 are put in after the anchor; the rest moves right, and out of the window;
- n = 0: nothing moves.

Three scalars say all of it (`Alignment`), so one compiled program serves every variant, nothing large travels to
the device, and what follows can be fused with it: a 1 Mb window of 667 float32 tracks is 2.8 GB.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.layout import NOWHERE, Layout
from jaxtyping import Array, Bool, Float, Int, PyTree

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


class PlacedAlignment(NamedTuple):
    """An alignment of predictions of which only some rows are there, row by row.

    - `source`: the place that holds, of ALT, what comes to each place; `keep`: whether it is not 0 instead.
    - `pooled`: the place that gets the maximum of `count` rows from the place `first` on; `count` 0 for none.
    """

    source: Int[Array | np.ndarray, " place"]
    keep: Bool[Array | np.ndarray, " place"]
    pooled: Int[Array | np.ndarray, ""]
    first: Int[Array | np.ndarray, ""]
    count: Int[Array | np.ndarray, ""]


def place_alignment(moves: Alignment | PlacedAlignment, layout: Layout, wanted: Any) -> PlacedAlignment:
    """On the host: `moves` of all rows for predictions that have those of `layout` only; `wanted` is one bool a place.

    Raises ValueError when what comes to a `wanted` place is not there.
    """
    assert isinstance(moves, Alignment)  # restricted once
    length, anchor, shift = layout.length, int(moves.anchor), int(moves.shift)

    def turn(rows: np.ndarray) -> np.ndarray:
        return length - 1 - rows if moves.reverse else rows

    row = turn(layout.rows)
    moved = row > anchor
    source = np.where(moved, row + shift, row)
    keep = (layout.rows != NOWHERE) & (row < length - max(shift, 0)) & (~moved | (source > anchor))
    places = layout.find(turn(np.clip(source, 0, length - 1)))
    if lost := np.flatnonzero(np.asarray(wanted) & keep & (places == NOWHERE)).tolist():
        raise ValueError(f"row {layout.rows[lost[0]]} of REF lies at row {source[lost[0]]} of ALT, which is not there")
    keep &= places != NOWHERE
    pooled, first, count = 0, 0, 0
    at_anchor = layout.find(turn(np.array([anchor])))[0] if 0 <= anchor < length - max(shift, 0) else NOWHERE
    if shift > 0 and at_anchor != NOWHERE and wanted[at_anchor]:
        ends = layout.places(turn(np.array([anchor, min(anchor + shift, length - 1)])))
        pooled, first, count = int(at_anchor), int(ends.min()), int(np.ptp(ends)) + 1
    numbers = (np.asarray(number, np.int32) for number in (pooled, first, count))
    return PlacedAlignment(np.maximum(places, 0).astype(np.int32), keep, *numbers)


def runs(mask: Bool[np.ndarray, " position"]) -> list[tuple[int, int]]:
    """Stretches [start, end) of rows that are set."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def aligned_spans(spans: Iterable[tuple[int, int]], moves: Alignment) -> list[tuple[int, int]]:
    """Rows that must be there of both alleles, so that rows `spans` of REF can be compared with aligned ones of ALT.

    For intervals in forward order. Spans may reach beyond the interval's end.
    """
    anchor, shift = int(moves.anchor), int(moves.shift)
    reads = list(spans)
    if not shift:
        return reads
    for start, end in tuple(reads):
        if start <= anchor < end:
            reads.append((anchor, anchor + max(shift, 0) + 1))
        if end > anchor + 1:
            reads.append((max(start, anchor + 1) + shift, end + shift))
    return [(max(start, 0), end) for start, end in reads if end > 0]


def unaligned(masks: PyTree[np.ndarray]) -> PyTree[Any]:
    """Masks as they would be if the alleles were equally long: nothing is moved."""

    def still(node: Any) -> Any:
        return node._replace(shift=np.zeros_like(node.shift)) if isinstance(node, Alignment) else node

    return jax.tree.map(still, masks, is_leaf=lambda node: isinstance(node, Alignment))


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
    alt: Float[Array | np.ndarray, "position track"], alignment: Alignment | PlacedAlignment
) -> Float[Array, "position track"]:
    """On the device: ALT predictions in the frame of REF (see the module's description).

    One gather and two selections: beyond the result, nothing of its size is made, and the compiler may fuse them
    into what consumes the result. For sums under masks, `aligned_sum` is cheaper.
    """
    alt = jnp.asarray(alt)
    return aligned_rows(alt, alignment, jnp.arange(alt.shape[0]))


def aligned_rows(
    alt: Float[Array | np.ndarray, "position track"],
    alignment: Alignment | PlacedAlignment,
    rows: Int[Array, " row"],
) -> Float[Array, "row track"]:
    """On the device: some rows of `align_alternate(alt, alignment)`, without making the others."""
    alt = jnp.asarray(alt)
    if isinstance(alignment, PlacedAlignment):
        moved = alt.at[jnp.asarray(alignment.source)[rows]].get(mode="clip")
        moved = jnp.where(jnp.asarray(alignment.keep)[rows][:, None], moved, jnp.zeros((), alt.dtype))
        pooled = (rows == alignment.pooled) & (alignment.count > 0)
        first, count = jnp.asarray(alignment.first), jnp.asarray(alignment.count)
        peak = _peak(alt, first, first + count - 1, count)
        return jnp.where(pooled[:, None], peak, moved)
    length = alt.shape[0]
    row = _genomic(rows, length, alignment)
    moved = row > alignment.anchor
    source = jnp.where(moved, row + alignment.shift, row)
    # Rows at the end that an insertion pushed out, and the gap of a deletion.
    keep = (row < length - jnp.maximum(alignment.shift, 0)) & (~moved | (source > alignment.anchor))
    pooled = keep & (row == alignment.anchor) & (alignment.shift > 0)
    aligned = alt.at[_genomic(source, length, alignment)].get(mode="clip")
    aligned = jnp.where(keep[:, None], aligned, jnp.zeros((), alt.dtype))
    return jnp.where(pooled[:, None], _peak_of(alt, alignment), aligned)


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
    pools = jnp.where(pooled & at_anchor[:, None], _peak_of(alt, alignment).astype(jnp.float32), 0.0)
    return masked_sum(weights, alt) + pools


def masked_sum(
    mask: Bool[Array | np.ndarray, "position item"], values: Float[Array | np.ndarray, "position track"]
) -> Float[Array, "item track"]:
    """On the device: float32 sums of `values` over each item's rows."""
    values = jnp.asarray(values)
    # The barrier keeps the product a plain one, so that equal alleles have equal sums to the last bit.
    weights, values = jax.lax.optimization_barrier((jnp.asarray(mask).astype(values.dtype), values))
    # HIGHEST: the default may round float32 operands to 10 bits (TF32) on a GPU.
    return jnp.einsum(
        "pi,pt->it",
        weights,
        values,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )


def _genomic(row: Int[Array, "*any"], length: int, alignment: Alignment) -> Int[Array, "*any"]:
    """Rows counted from the window's genomic start, from rows as stored; also the other way round."""
    return jnp.where(alignment.reverse, length - 1 - row, row)


def _peak_of(alt: Float[Array, "position track"], alignment: Alignment) -> Float[Array, " track"]:
    """Maximum over the rows that an insertion pools; -inf, without reading `alt`, where nothing is inserted."""
    length = alt.shape[0]
    run = alignment.anchor, alignment.anchor + alignment.shift
    ends = [_genomic(jnp.asarray(row), length, alignment) for row in run]
    first, last = jnp.maximum(jnp.minimum(*ends), 0), jnp.minimum(jnp.maximum(*ends), length - 1)
    return _peak(alt, first, last, jnp.asarray(alignment.shift))


def _peak(
    alt: Float[Array, "position track"], first: Int[Array, ""], last: Int[Array, ""], wanted: Int[Array, ""]
) -> Float[Array, " track"]:
    """Maximum over rows first..last if `wanted` is positive, else -inf."""
    length = alt.shape[0]
    size = min(_POOL, length)
    blocks = jnp.where(wanted > 0, (last - first) // size + 1, 0)

    def pool(block: Array, peak: Array) -> Array:
        # A block that would stick out is read further left: those rows are in the run, or masked.
        start = jnp.minimum(first + block * size, length - size)
        row = start + jnp.arange(size)
        values = jax.lax.dynamic_slice_in_dim(alt, start, size)
        inside = (row >= first) & (row <= last)
        return jnp.maximum(peak, jnp.max(jnp.where(inside[:, None], values, -jnp.inf), axis=0).astype(alt.dtype))

    return jax.lax.fori_loop(0, blocks, pool, jnp.full(alt.shape[1:], -jnp.inf, alt.dtype))
