"""Splice sites and their usage as lollipops: '+' upwards, '-' downwards."""

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval
from jaxtyping import Float, Int
from matplotlib.collections import LineCollection

from ag_data.plot.axes import COLORS, new_axes, number, set_view, shade_unmeasured, unit_lines

# Short stretches of NaN are sites that too little was known of, marked by a ring; longer ones are grey.
_SHORT = 1 / 500  # of the view
_MANY = 150  # stems, from where on they are drawn small
_STEP = 0.3  # by which stems of kinds that have no values differ in height


def draw_sites(
    signal: xr.DataArray,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    colors: tuple[str, ...] = COLORS[1:],
    limit: float | None = None,
) -> matplotlib.axes.Axes:
    """Draws values (position, track) at bases as stems with heads, and returns the axes; 0 is not drawn.

    `signal` is as `ag_data.plot.read_window` gives it for layouts "usage" and "classes". Tracks of one name share a
    colour; with several names there is a key. Classes are there or not, so their heights only tell the names apart.
    A site that was not measured is a ring on the base line.
    """
    ax = new_axes(ax, 1.2)
    starts, ends = (signal[key].values for key in ("start", "end"))
    names, strands = (signal[key].values.astype(object).tolist() for key in ("name", "strand"))
    kinds = {name: number for number, name in enumerate(dict.fromkeys(names))}
    classes = signal.attrs.get("layout") == "classes"
    lines = np.asarray(signal.values, np.float64)
    if classes:
        lines = lines * [1 - _STEP * (kinds[name] % 3) for name in names]
    drawn = np.isfinite(lines) & (lines != 0)
    reach = limit or float(np.max(np.abs(lines), initial=0, where=drawn)) or 1.0
    low = -1.15 * reach if "-" in strands else 0.0
    high = 1.15 * reach if set(strands) != {"-"} else 0.0
    set_view(ax, view)
    ax.set_ylim(low, high)
    size = 3.4 if drawn.sum() <= _MANY else 2.0
    for track, (name, strand) in enumerate(zip(names, strands, strict=True)):
        sign, color = -1 if strand == "-" else 1, colors[kinds[name] % len(colors)]
        x, y = (starts + ends + 1)[drawn[:, track]] / 2, sign * lines[drawn[:, track], track]
        stems = [((place, 0), (place, height)) for place, height in zip(x.tolist(), y.tolist(), strict=True)]
        ax.add_collection(LineCollection(stems, colors=color, linewidths=0.3 * size, alpha=0.8))
        ax.plot(x, y, "o", color=color, markersize=size, markeredgewidth=0, label=f"{name} ({strand})")
        left, right = _unmeasured(starts, ends, lines[:, track])
        short = right - left <= max(1, view.width * _SHORT)
        ring = (left + right + 1)[short] / 2
        style = {"color": "0.6", "markersize": size - 0.6, "fillstyle": "none", "markeredgewidth": 0.6}
        ax.plot(ring, np.full(len(ring), sign * 0.06 * reach), "o", label="not measured", **style)
        edge = 0.0 if strand in "+-" else low
        for start, end in zip(left[~short], right[~short], strict=True):
            span, nothing = (np.array([start + 0.5]), np.array([end + 0.5])), np.array([np.nan])
            shade_unmeasured(ax, *span, nothing, edge, low if sign < 0 else high)
    ax.axhline(0, color="0.6", linewidth=0.5)
    if classes:
        signs = {-0.5 * reach: "\N{MINUS SIGN}", 0.5 * reach: "+"} if low < 0 else {}
        ax.set_yticks(list(signs), list(signs.values()))
    else:
        ticks = [tick for tick in (-reach, 0.0, reach) if low <= tick <= high]
        ax.set_yticks(ticks, [number(abs(tick)) for tick in ticks])
        ax.set_ylabel("\n".join(unit_lines(signal.attrs)), size=7.5)
    for name, kind in kinds.items() if len(kinds) > 1 else ():
        place = (1.005, 0.95 - 0.24 * kind)
        ax.text(*place, name, color=colors[kind % len(colors)], size=6.5, va="top", transform=ax.transAxes)
    return ax


def _unmeasured(
    starts: Int[np.ndarray, " position"], ends: Int[np.ndarray, " position"], values: Float[np.ndarray, " position"]
) -> tuple[Int[np.ndarray, " stretch"], Int[np.ndarray, " stretch"]]:
    """Starts and ends of stretches of NaN."""
    unknown = np.isnan(values)
    left, right = starts[unknown], ends[unknown]
    new = np.ones(len(left), bool)
    new[1:] = left[1:] != right[:-1]
    return left[new], right[np.append(np.flatnonzero(new), len(left))[1:] - 1]
