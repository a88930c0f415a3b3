"""Indels in pictures: ALT's values at REF's positions, and marks where bases were deleted or inserted."""

from collections.abc import Mapping, Sequence

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from jaxtyping import Float
from matplotlib.patches import Polygon

from ag_data.personal import INSERTED, parse_variants, reference_positions
from ag_data.plot.axes import runs_of, width_in_points

_MARK, _TEXT, _DELETED = "#cc79a7", "#a0527e", "0.5"


def to_reference(
    alt: Float[np.ndarray, "position track"], interval: Interval, variants: Sequence[Variant], resolution: int = 1
) -> Float[np.ndarray, "position track"]:
    """ALT's values, in its own coordinates from the start of `interval`, at REF's positions (spec/scoring.md 1.9).

    Inserted bases are pooled with the one before them, by the maximum; deleted ones, and those that an insertion
    pushes out, are NaN. In bins of `resolution` bp, each one of REF gets the one of ALT that shares most bases with
    it. Raises ValueError for values that do not cover the interval.
    """
    bins = interval.width // resolution
    if len(alt) != bins:
        raise ValueError(
            f"cannot align {len(alt)} values with {interval}, {bins} bins of {resolution} bp; give whole arrays"
        )
    covered = resolution * bins
    places = reference_positions(interval.as_unstranded(), variants)[:covered]
    # Left of the chromosome, places skip the number that marks inserted bases.
    rows = places + (places < 0) - interval.start
    new = places == INSERTED
    known = np.flatnonzero(~new & (rows >= 0) & (rows < covered))
    pairs, shared = np.unique(np.stack([rows[known], known]) // resolution, axis=1, return_counts=True)
    order = np.lexsort((-pairs[1], shared))  # the best last, and of equals the leftmost
    moved = np.full(alt.shape, np.nan)
    moved[pairs[0, order]] = alt[pairs[1, order]]
    for first, end in runs_of(new):
        whole = alt[-(-first // resolution) : end // resolution]  # bins of nothing but inserted bases
        if first and 0 <= rows[first - 1] < covered:
            anchor = rows[first - 1] // resolution
            moved[anchor] = np.fmax.reduce([moved[anchor], *whole])
    return moved


def line_up(
    alleles: Mapping[str, xr.DataArray], variant: Variant | None = None
) -> tuple[dict[str, xr.DataArray], list[Variant]]:
    """Signals (position, track) at the positions of the first one, called REF; and the variants they differ by.

    Signals are as `ag_data.plot.inputs.as_signal` makes them. `variant` says that all but the first are in coordinates
    of ALT. Without it, those are whose attribute `frame` is "alternate", by the variants that their attribute `variant`
    names. What says "reference" is left as it is.
    """
    first, *labels = alleles
    lined, variants = {first: alleles[first]}, [] if variant is None else [variant]
    for label in labels:
        signal = alleles[label]
        frame = str(signal.attrs.get("frame", "reference" if variant is None else "alternate"))
        own = parse_variants(str(signal.attrs.get("variant", ""))) if variant is None else [variant]
        variants = variants or own
        lined[label] = signal if frame == "reference" or not own else _aligned(signal, own)
    return lined, variants


def _aligned(signal: xr.DataArray, variants: Sequence[Variant]) -> xr.DataArray:
    starts, ends = signal["start"].values, signal["end"].values
    interval = Interval(variants[0].chromosome, int(starts[0]), int(ends[-1]))
    values = to_reference(signal.values.astype(np.float64), interval, variants, int(ends[0] - starts[0]))
    return signal.copy(data=values).assign_attrs(frame="reference")


def spans(variant: Variant) -> tuple[Interval, int]:
    """What ALT lacks of REF (0-based half-open; empty for an insertion, where it lies), and how many bases it adds."""
    shared = min(len(variant.reference_bases), len(variant.alternate_bases))
    gone = Interval(variant.chromosome, variant.start + shared, max(variant.end, variant.start + shared))
    return gone, len(variant.alternate_bases) - shared


def mark_variant(axes: matplotlib.axes.Axes, variant: Variant, view: Interval, *, label: bool = True) -> None:
    """Marks a variant: a line at a replaced base, a hatched stretch of deleted ones, a wedge where some are inserted.

    Bars and wedges reach over the height of the axes, whose x is the 1-based position. Nothing out of view is drawn.
    """
    if variant.chromosome != view.chromosome or variant.end < view.start or variant.start >= view.end:
        return
    gone, new = spans(variant)
    if not variant.is_indel:
        axes.axvline(variant.position, color="0.15", linewidth=0.7, linestyle=(0, (3, 2)), zorder=5, label="variant")
        return
    transform = axes.get_xaxis_transform()
    edge = gone.start + 0.5
    if gone.width:
        bar = axes.axvspan(edge, gone.end + 0.5, facecolor="0.93", edgecolor=_DELETED, linewidth=0.6, zorder=0.5)
        bar.set(hatch="////", label="deleted")
    else:
        half = 4 * view.width / width_in_points(axes)
        corners = np.array([[edge - half, 1.0], [edge + half, 1.0], [edge, 0.84]])
        wedge = Polygon(corners, color=_MARK, linewidth=0, transform=transform, zorder=6, label="inserted")
        axes.add_patch(wedge)
        axes.axvline(edge, color=_MARK, linewidth=0.8, zorder=0.5)
    if label:
        text = f"{new:+,d} bp" if new else f"\N{MINUS SIGN}{gone.width:,} bp"
        x = max(gone.end, gone.start) + 0.5
        axes.annotate(
            text, (x, 0.97), (5 if new else 2, 0), xycoords=transform, textcoords="offset points", size=6.5, va="top",
            color=_TEXT if new else "0.35", zorder=6, annotation_clip=True,
        )  # fmt: skip
