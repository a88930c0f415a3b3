"""Components below each other in one figure, over one interval, with what is marked across all of them."""

import functools
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.axes
import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ag_data.plot.axes import set_view, width_in_points
from ag_data.plot.components.annotations import Annotations, Mark
from ag_data.plot.components.row import Component, Row
from ag_data.plot.inputs import as_interval

# Inches.
_TICKS, _RIGHT, _TITLE, _BOTTOM, _EDGE, _NAMES = 0.5, 0.75, 0.35, 0.5, 0.1, 0.6
_LETTERS = 30  # of a line of a label
_FONT, _SMALL = 8.0, 7.5  # points, of labels and of names of annotations


def plot(
    components: Sequence[Component],
    interval: Any,
    *,
    fig_width: float = 20.0,
    fig_height_scale: float = 1.0,
    title: str | None = None,
    despine: bool = True,
    despine_keep_bottom: bool = False,
    annotations: Sequence[Annotations] | None = None,
    annotation_offset_range: tuple[float, float] = (0.1, 0.6),
    hspace: float = 0.3,
    xlabel: str | None = None,
) -> Figure:
    """A figure with the rows of `components` over `interval` (chromosome, start, end; 0-based half-open).

    - `fig_width` in inches; the height is that of the rows times `fig_height_scale`, and what is around them.
    - `hspace`: room between rows, as a share of their mean height, at most a quarter of an inch.
    - `despine`: without the lines at the top and right and, unless `despine_keep_bottom`, below all but the last row.
    - `annotations`: drawn over all rows, their names in a row of their own above them, at heights from
      `annotation_offset_range` in turn.
    - `xlabel`: by default the chromosome and the interval.

    x is the 1-based position. Save with `ag_data.plot.save`. Raises InputError for no components, an empty interval,
    and one that a component has nothing to show in.
    """
    view = as_interval(interval)
    if not components:
        raise InputError("no components to plot; give at least one, such as Tracks(...)")
    rough = fig_width - _RIGHT - 2.0
    rows = [row for component in components for row in component.rows(view, rough)]
    marks = [mark for annotation in annotations or () for mark in annotation.marks(view)]
    named = any(mark.label for mark in marks)
    if named:
        rows.insert(0, Row(_NAMES / fig_height_scale, "", functools.partial(_name, marks, annotation_offset_range)))
    figure, panels = _lay_out(rows, fig_width, fig_height_scale, hspace, bool(title))
    for row, axes in zip(rows, panels, strict=True):
        axes.set_xlim(view.start + 0.5, view.end + 0.5)
        row.draw(axes)
    for number, (row, axes) in enumerate(zip(rows, panels, strict=True)):
        last = number + 1 == len(rows)
        _tidy(axes, row, view, despine, last or despine_keep_bottom, last)
        if not (named and number == 0):
            _shade(axes, marks)
    panels[-1].set_xlabel(xlabel if xlabel is not None else f"{view.region}, {view.width:,} bp", size=9)
    if title:
        middle = 1 - 0.5 * _TITLE / figure.get_figheight()
        figure.suptitle(title, size=12, weight="bold", y=middle, va="center", x=panels[0].get_position().x0, ha="left")
    return figure


def _lay_out(
    rows: Sequence[Row], width: float, scale: float, hspace: float, title: bool
) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    heights = [row.height * scale for row in rows]
    gap = min(hspace * float(np.mean(heights)), 0.25)
    left = _EDGE + _TICKS + max([_label_width(row) for row in rows])
    top = _EDGE + (_TITLE if title else 0.0)
    height = top + sum(heights) + gap * (len(rows) - 1) + _BOTTOM
    figure = Figure(figsize=(width, height))
    panels, used = [], top
    for number, size in enumerate(heights):
        box = (left / width, 1 - (used + size) / height, 1 - (left + _RIGHT) / width, size / height)
        panels.append(figure.add_axes(box, label=rows[number].label or f"row {number}"))
        used += size + gap
    return figure, panels


def _label_width(row: Row) -> float:
    """Inches that the label needs beside the numbers of the axis."""
    if not row.label:
        return 0.0
    if not row.horizontal:
        return 0.2 * len(_wrap(row.label))
    return max(_text_width(line, _FONT) for line in _wrap(row.label)) / 72 + 0.1


def _wrap(label: str) -> list[str]:
    return textwrap.wrap(label, _LETTERS) or [""]


def _tidy(axes: matplotlib.axes.Axes, row: Row, view: Interval, despine: bool, bottom: bool, last: bool) -> None:
    """The row's label, and only the lines and numbers that it needs."""
    set_view(axes, view)
    axes.spines[["top", "right"]].set_visible(not despine)
    axes.spines["bottom"].set_visible(bottom or not despine)
    axes.set_xlabel("")
    axes.tick_params(axis="y", labelsize=7, length=2, pad=1.5)
    axes.tick_params(axis="x", bottom=last, labelbottom=last, labelsize=8, length=3)
    if last and not axes.axison:  # an empty component keeps the axis of positions
        axes.set_axis_on()
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    if not row.label:
        axes.set_ylabel("")
    elif row.horizontal:
        style = {"rotation": 0, "ha": "right", "va": "center", "labelpad": 72 * _TICKS - 6}
        axes.set_ylabel("\n".join(_wrap(row.label)), size=_FONT, **style)
        axes.yaxis.set_label_coords(-72 * _TICKS / width_in_points(axes), 0.5)
    else:
        axes.set_ylabel("\n".join(_wrap(row.label)), size=_FONT)


def _shade(axes: matplotlib.axes.Axes, marks: Sequence[Mark]) -> None:
    """Below what is drawn; a map would hide that, and gets outlines above it."""
    is_map = any(one.get_array() is not None for one in axes.collections)
    for mark in marks:
        # The edge keeps a single base visible in a wide view.
        axes.axvspan(mark.left, mark.right, facecolor=mark.color, edgecolor=mark.color, linewidth=0.6, fill=not is_map,
                     alpha=None if is_map else mark.alpha, zorder=3 if is_map else 0.2, label="annotation")  # fmt: skip


def _name(marks: Sequence[Mark], offsets: tuple[float, float], axes: matplotlib.axes.Axes) -> None:
    """Names of annotations, each at the lowest of three heights where it keeps clear of those before it."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    left, right = axes.get_xlim()
    scale, tall = width_in_points(axes) / (right - left), _NAMES * 72
    taken: list[tuple[float, float, float]] = []
    for mark in sorted((mark for mark in marks if mark.label), key=lambda mark: mark.x):
        x, slope = (mark.x - left) * scale, math.tan(math.radians(mark.angle))
        long = _text_width(mark.label, _SMALL) * math.cos(math.radians(mark.angle))
        starts = {"left": x, "center": x - long / 2, "right": x - long}
        align = mark.align
        if starts[align] < 0 or starts[align] + long > (right - left) * scale:  # turned round at the edges
            align = "left" if starts[align] < 0 else "right"
        low = starts[align]

        def clear(y: float, low: float = low, long: float = long, line: float = x * slope) -> bool:
            own = y - line  # where a slanted baseline begins
            return all(low > b or low + long < a or abs(own - c) > _SMALL * 1.3 for a, b, c in taken)

        heights = [float(height) * tall for height in np.linspace(*offsets, 3)]
        y = next((height for height in heights if clear(height)), heights[-1])
        taken.append((low, low + long, y - x * slope))
        axes.plot([mark.x, mark.x], [-0.05, y / tall], color=mark.color, linewidth=0.8, clip_on=False)
        axes.text(mark.x, y / tall, mark.label, size=_SMALL, rotation=mark.angle, rotation_mode="anchor", ha=align,
                  va="bottom", color="0.15")  # fmt: skip


def _text_width(text: str, size: float) -> float:
    """In points."""
    font = FontProperties(size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])
