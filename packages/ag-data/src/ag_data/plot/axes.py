"""What pictures share: colours, new axes where none are given, the axis of positions, numbers as text."""

from collections.abc import Mapping
from typing import Any, cast

import matplotlib.axes
import numpy as np
from ag_core.genome import Interval
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Okabe and Ito's colours, told apart with any colour vision; one for each modality, in turn.
COLORS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b8c")
STRAND_COLORS = {"+": "#0072b2", "-": "#d55e00", ".": "#4d4d4d"}
_WIDE = 1 / 60  # of the view, from where on a shade is hatched


def new_axes(ax: matplotlib.axes.Axes | None, height: float, label: str = "") -> matplotlib.axes.Axes:
    """`ax`, or the axes of a new figure 10 inches wide (`ax.figure.savefig` writes it)."""
    if ax is not None:
        return ax
    return Figure(figsize=(10, height), layout="constrained").add_subplot(label=label)


def set_view(axes: matplotlib.axes.Axes, view: Interval) -> None:
    """x is the 1-based position: the base at 0-based p covers [p + 0.5, p + 1.5)."""
    axes.set_xlim(view.start + 0.5, view.end + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel(f"{view.chromosome}, position in bp", size=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7.5, length=2.5)


def width_in_points(axes: matplotlib.axes.Axes) -> float:
    """Width of the axes as laid out at first, in points (1/72 inch)."""
    return axes.get_position().width * cast(Figure, axes.get_figure(root=True)).get_figwidth() * 72


def number(value: float) -> str:
    """A short text: 0.31, 7.2, 12, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def distance(value: float) -> str:
    """Base pairs as a short text."""
    for size, unit in ((1e6, "Mb"), (1e3, "kb")):
        if value >= size:
            return f"{value / size:,.3g} {unit}"
    return f"{value:.0f} bp"


def unit_lines(attrs: Mapping[str, Any]) -> list[str]:
    """What a value is, and how what is drawn was pooled, if it was (attributes of `ag_data.plot.windows`)."""
    unit, resolution = str(attrs.get("unit", "")), int(attrs.get("resolution", 1))
    if attrs.get("layout") == "signal" and resolution > 1:
        unit = f"sum over {resolution:,} bp" if unit == "sum over the bin" else f"{unit} in {resolution:,} bp".strip()
    pooled = int(attrs.get("pooled", 1))
    pool = f"{attrs['pool']} in {distance(pooled * resolution)}" if pooled > 1 else ""
    return [line for line in (unit, pool) if line]


def runs_of(mask: Bool[np.ndarray, " position"]) -> list[tuple[int, int]]:
    """[first, last) of each stretch that is set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def shade_unmeasured(
    axes: matplotlib.axes.Axes,
    starts: Float[np.ndarray, " position"],
    ends: Float[np.ndarray, " position"],
    values: Float[np.ndarray, " position"],
    low: float,
    high: float,
) -> None:
    """Greys the stretches of NaN between y = `low` and `high`; the view must be set."""
    left, right = axes.get_xlim()
    stretches = [(starts[first], ends[last - 1] - starts[first]) for first, last in runs_of(np.isnan(values))]
    for hatch in ("", "////"):
        chosen = [stretch for stretch in stretches if (stretch[1] > _WIDE * (right - left)) == bool(hatch)]
        if chosen:
            bars = axes.broken_barh(chosen, (low, high - low), zorder=0, facecolor="0.93", linewidth=0)
            bars.set(edgecolor="0.8", hatch=hatch, label="not measured")
