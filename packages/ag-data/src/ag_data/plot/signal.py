"""Signal as steps, filled or as a line: '+' upwards, '-' downwards, what was not measured hatched."""

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval
from jaxtyping import Float
from matplotlib.colors import to_rgb

from ag_data.plot.axes import COLORS, new_axes, number, set_view, shade_unmeasured, unit_lines

_MARGIN = 1.05
_PALE = 0.55  # of '-'


def draw_track(
    signal: xr.DataArray,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    color: str = COLORS[0],
    limit: float | None = None,
    filled: bool = True,
) -> matplotlib.axes.Axes:
    """Draws signal (position), or (position, track) of at most one track on each strand, and returns the axes.

    `signal` has the coordinates `start` and `end` along `position`, as `ag_data.plot.read_window` gives them. The
    scale ends at `limit`, or the largest magnitude in view. NaN is hatched, never drawn as 0. Raises ValueError for
    two tracks of a strand.
    """
    ax = new_axes(ax, 1.2)
    strands = _strands(signal)
    # What lies out of view would make vector graphics large.
    inside = np.flatnonzero((signal["start"].values < view.end) & (signal["end"].values > view.start))
    if len(inside):
        signal = signal.isel(position=slice(int(inside[0]), int(inside[-1]) + 1))
    lines = signal.values.reshape(len(signal["start"]), -1).astype(np.float64)
    edges = np.append(signal["start"].values, signal["end"].values[-1:]) + 0.5
    shown = (edges[1:] > view.start + 0.5) & (edges[:-1] < view.end + 0.5)
    low, high = 0.0, 0.0
    for strand, values in zip(strands, lines.T, strict=True):
        values = mirrored(values, strand)
        # The line keeps steps visible that are narrower than a pixel.
        style = {"fill": True, "linewidth": 0.4} if filled else {"baseline": None, "linewidth": 0.9}
        ax.stairs(values, edges, color=_shade(color, strand), label=strand, **style)
        inside = values[shown & np.isfinite(values)]
        low, high = min(low, inside.min(initial=0.0)), max(high, inside.max(initial=0.0))
    reach = limit or max(high, -low) or 1.0
    bottom = -reach if low < 0 or "-" in strands else 0.0
    top = reach if high > 0 or set(strands) != {"-"} else 0.0
    set_view(ax, view)
    for strand, values in zip(strands, lines.T, strict=True):
        halves = (0.0, top) if strand == "+" else (bottom, 0.0) if strand == "-" else (bottom, top)
        shade_unmeasured(ax, edges[:-1], edges[1:], values, _MARGIN * halves[0], _MARGIN * halves[1])
    ax.axhline(0, color="0.6", linewidth=0.5)
    ax.set_ylim(_MARGIN * bottom, _MARGIN * top)
    measured = np.isfinite(lines[shown]).any()
    ticks = sorted({bottom, 0.0, top} if measured else {0.0})
    if not measured:
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, size=7.5, color="0.4", ha="center", va="center")
    # Below the line is the other strand, not a negative number.
    ax.set_yticks(ticks, [number(abs(tick) if "-" in strands else tick) for tick in ticks])
    ax.set_ylabel("\n".join(unit_lines(signal.attrs)), size=7.5)
    return ax


def _shade(color: str, strand: str) -> tuple[float, ...]:
    return tuple(1 - (_PALE if strand == "-" else 1) * (1 - part) for part in to_rgb(color))


def mirrored(values: Float[np.ndarray, " position"], strand: str) -> Float[np.ndarray, " position"]:
    """Values of '-' hang down; some files have them negative already."""
    if strand != "-" or np.nanmax(values, initial=-np.inf, where=np.isfinite(values)) <= 0:
        return values
    return -values


def _strands(signal: xr.DataArray) -> list[str]:
    size = signal.sizes.get("track", 1)
    given = np.atleast_1d(signal["strand"].values).tolist() if "strand" in signal.coords else ["."] * size
    strands = [str(strand) for strand in given]
    if len(set(strands)) < len(strands):
        raise ValueError(
            f"signal has tracks on {', '.join(strands)}; expected one on each strand: choose by isel(track=)"
        )
    return strands
