"""Sequence logos: letters as tall as their scores, negative ones hanging below the line."""

import functools
from typing import Any, cast

import matplotlib.axes
import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Float, Int
from matplotlib.collections import PathCollection
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from ag_data.plot.axes import new_axes, number, set_view

BASES = "ACGT"
# Okabe and Ito's colours, near those that logos usually have.
BASE_COLORS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}
MAX_WIDTH = 1000
STYLES = ("letters", "bars")
_FILL = 0.94  # of a base's width


def draw_logo(
    scores: Float[np.ndarray, "position base"],
    interval: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    view: Interval | None = None,
    style: str = "letters",
    flip: bool = False,
    ylim: tuple[float, float] | None = None,
    max_width: int = MAX_WIDTH,
) -> matplotlib.axes.Axes:
    """Draws scores over `interval`, bases in the order ACGT, and returns the axes.

    - The letters of a position stand on each other, the largest outside; negative ones hang below the line, upright
      unless `flip`. NaN and 0 are not drawn.
    - `view`: the part to show. x is the 1-based position: a base at 0-based p covers [p + 0.5, p + 1.5).
    - `style`: "letters", or "bars" of the sums of positive and of negative scores, for more than `max_width` bp.

    Raises InputError for a view outside the interval or too wide for letters, ValueError for other shapes.
    """
    scores, view = check_scores(scores, interval, view)
    if style not in STYLES:
        raise InputError(f"style {style!r}: expected one of {', '.join(STYLES)}")
    ax = new_axes(ax, 1.2)
    lefts = view.start + 0.5 + np.arange(view.width)
    set_view(ax, view)
    if style == "bars":
        edges = np.append(lefts, view.end + 0.5)
        for sign, color in ((1, BASE_COLORS["C"]), (-1, BASE_COLORS["T"])):
            sums = sign * np.maximum(sign * scores, 0).sum(axis=1)
            ax.stairs(sums, edges, fill=True, color=color, linewidth=0.4, label="+" if sign > 0 else "-")
    else:
        check_width(view, max_width)
        draw_letters(ax, scores, lefts, np.ones(view.width), flip=flip)
    finish_logo(ax, ylim or reach([scores]))
    return ax


def check_scores(
    scores: Float[np.ndarray, "position base"], interval: Interval, view: Interval | None
) -> tuple[Float[np.ndarray, "position base"], Interval]:
    """Scores of the bases in view, without NaN, and the view."""
    interval = interval.as_unstranded()
    expected = (interval.width, len(BASES))
    if scores.shape != expected:
        raise ValueError(f"scores have shape {scores.shape}; expected {expected}: {interval} by {BASES}")
    view = (view or interval).as_unstranded()
    if not (interval.contains(view) and view.width):
        raise InputError(f"view {view} is not within the scored interval {interval}; choose one inside")
    shown = scores[view.start - interval.start : view.end - interval.start]
    return np.nan_to_num(shown.astype(np.float64)), view


def check_width(view: Interval, max_width: int = MAX_WIDTH) -> None:
    """Raises InputError where letters would be too narrow to read."""
    if view.width > max_width:
        raise InputError(
            f"{view.width:,} bp are too wide for letters, which are drawn up to {max_width:,} bp; choose a view, "
            'or style="bars"'
        )


def stack(
    scores: Float[np.ndarray, "position base"],
) -> tuple[Float[np.ndarray, "position base"], Float[np.ndarray, "position base"]]:
    """Lower and upper edge of each letter: small ones next to the line, large ones outside."""
    order = np.argsort(np.abs(scores), axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    far = np.where(ordered > 0, np.maximum(ordered, 0).cumsum(axis=1), np.minimum(ordered, 0).cumsum(axis=1))
    edges = np.sort(np.stack([far - ordered, far]), axis=0)
    low, high = (np.empty_like(scores) for _ in range(2))
    for target, source in zip((low, high), edges, strict=True):
        np.put_along_axis(target, order, source, axis=1)
    return low, high


def reach(stacks: list[Float[np.ndarray, "position base"]]) -> tuple[float, float]:
    """Limits that hold all letters, and 0."""
    low = min(float(np.minimum(scores, 0).sum(axis=1).min(initial=0.0)) for scores in stacks)
    high = max(float(np.maximum(scores, 0).sum(axis=1).max(initial=0.0)) for scores in stacks)
    margin = 0.05 * ((high - low) or 1.0)
    return (low - margin if low < 0 else 0.0), (high + margin if high > 0 or low == 0 else 0.0)


def draw_letters(
    axes: matplotlib.axes.Axes,
    scores: Float[np.ndarray, "position base"],
    lefts: Float[np.ndarray, " position"],
    widths: Float[np.ndarray, " position"],
    *,
    flip: bool = False,
) -> None:
    """Draws stacks of letters, one collection for each base; `lefts` and `widths` are on the 1-based scale."""
    low, high = stack(scores)
    for column, base in enumerate(BASES):
        shape, codes = _glyph(base)
        paths = []
        for row in np.flatnonzero(scores[:, column]).tolist():
            bottom, top = low[row, column], high[row, column]
            if flip and scores[row, column] < 0:
                bottom, top = top, bottom
            size = np.array([_FILL * widths[row], top - bottom])
            corner = np.array([lefts[row] + (1 - _FILL) / 2 * widths[row], bottom])
            paths.append(Path(corner + shape * size, codes))
        letters = PathCollection(paths, facecolors=BASE_COLORS[base], linewidths=0, label=base)
        axes.add_collection(letters, autolim=False)


@functools.cache
def _glyph(base: str) -> tuple[Float[np.ndarray, "vertex 2"], Int[np.ndarray, " vertex"]]:
    """A letter's outline, scaled to the square from (0, 0) to (1, 1)."""
    outline = TextPath((0, 0), base, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = cast(Any, outline.get_extents())
    vertices = np.asarray(outline.vertices, np.float64)
    # The points that close a polygon are not looked at, and may lie anywhere.
    shape = np.clip((vertices - box.min) / (box.max - box.min), 0.0, 1.0)
    return shape, np.asarray(cast(Any, outline.codes), np.int64)


def finish_logo(axes: matplotlib.axes.Axes, ylim: tuple[float, float]) -> None:
    """The line that letters stand on, and the scale."""
    axes.axhline(0, color="0.3", linewidth=0.5, zorder=0.5)
    axes.set_ylim(*ylim)
    low, high = ylim
    span = max(high, -low)
    ticks = [tick for tick in (low, 0.0, high) if tick == 0 or abs(tick) > 0.2 * span]
    axes.set_yticks([tick / 1.1 for tick in ticks], [number(tick / 1.1) for tick in ticks])
