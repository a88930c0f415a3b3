"""Splice junctions as arcs over the coverage of the same sample (a sashimi plot)."""

import dataclasses

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval
from jaxtyping import Float, Int
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from ag_data.plot.axes import COLORS, STRAND_COLORS, new_axes, number, set_view, width_in_points
from ag_data.plot.signal import draw_track, mirrored

MOST_ARCS = 40
_LABEL = 6.5  # points
# Heights of arcs above the coverage they start from, as shares of the scale.
_LOWEST, _HIGHEST = 0.25, 0.85


def draw_sashimi(
    junctions: xr.Dataset,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    coverage: xr.DataArray | None = None,
    color: str = COLORS[-1],
    most: int = MOST_ARCS,
    least: float = 0.0,
    counts: bool = True,
    whole: bool = True,
    arc_color: str | None = None,
) -> matplotlib.axes.Axes:
    """Draws the junctions of one track and, if given, the signal they belong to; returns the axes.

    - `junctions`: `count (junction)` with `start`, `end` and `strand`: introns, 0-based half-open. Those wholly in view
      (or with `whole=False`, those that touch it) with counts above `least` are shown, at most the `most` largest.
    - `coverage`: as for `draw_track`. Arcs start at its height beside the intron, on '+' and '.' upwards, on '-'
      downwards: from the coverage of '-' if it has strands, otherwise from the base line.

    Width is the count, whose number stands on an arc where there is room, unless `counts` is off. `arc_color` replaces
    the colours of strands. Raises ValueError for several tracks.
    """
    if junctions["count"].ndim > 1:
        raise ValueError(f"junctions of {junctions.sizes['track']} tracks; choose one by isel(track=)")
    ax = new_axes(ax, 2.0)
    if coverage is None:
        set_view(ax, view)
        ax.axhline(0, color="0.6", linewidth=0.5)
        low, high, ticks = 0.0, 0.0, [np.zeros(0)]
    else:
        draw_track(coverage, view, ax, color=color)
        (low, high), ticks = ax.get_ylim(), [ax.get_yticks()]
    scale = max(high, -low) or 1.0
    arcs = _arcs(junctions, view, most, least, whole, coverage, scale)
    for arc in arcs[::-1]:  # the strongest on top
        share = (arc.count / arcs[0].count) ** 0.5
        ax.add_patch(
            PathPatch(arc.path(), facecolor="none", edgecolor=arc_color or STRAND_COLORS[arc.strand], capstyle="round",
                      linewidth=0.5 + 2.3 * share, alpha=0.35 + 0.5 * share, zorder=3, label=arc.strand)
        )  # fmt: skip
    written = _write_counts(ax, arcs, scale, view.width / width_in_points(ax), arc_color) if counts else []
    tops = [arc.top for arc in arcs] + written
    low = min([low, *(top - 0.1 * scale for top in tops if top < 0)])
    high = max([high, *(top + 0.1 * scale for top in tops if top > 0)])
    ax.set_ylim(*((low, high) if (low, high) != (0, 0) else (-0.1, 1)))
    if coverage is None:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    else:
        ax.set_yticks(ticks[0], [number(abs(tick)) for tick in ticks[0]])
        ax.spines["left"].set_bounds(ticks[0].min(), ticks[0].max())
    return ax


@dataclasses.dataclass(frozen=True)
class _Arc:
    """An intron, 0-based half-open, from the heights `feet` at its ends to `top` in the middle."""

    start: int
    end: int
    strand: str
    count: float
    feet: tuple[float, float]
    top: float

    @property
    def sign(self) -> int:
        return -1 if self.strand == "-" else 1

    @property
    def middle(self) -> float:
        return (self.start + self.end + 1) / 2

    def path(self) -> Path:
        """A curve whose middle is at `top`."""
        left, right = self.start + 0.5, self.end + 0.5
        points = [(left, self.feet[0]), (left, self._control), (right, self._control), (right, self.feet[1])]
        return Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])

    @property
    def _control(self) -> float:
        return (self.top - sum(self.feet) / 8) * 4 / 3

    def reach(self, left: float, right: float) -> float:
        """The largest magnitude of the curve between two positions."""
        t = np.linspace(0, 1, 65)
        x = self.start + 0.5 + (self.end - self.start) * t**2 * (3 - 2 * t)
        y = (1 - t) ** 3 * self.feet[0] + 3 * t * (1 - t) * self._control + t**3 * self.feet[1]
        return float(np.max(np.abs(y), initial=0, where=(x >= left) & (x <= right)))


def _arcs(
    junctions: xr.Dataset,
    view: Interval,
    most: int,
    least: float,
    whole: bool,
    coverage: xr.DataArray | None,
    scale: float,
) -> list[_Arc]:
    """The strongest first."""
    starts, ends, counts = (junctions[key].values for key in ("start", "end", "count"))
    inside = (starts >= view.start) & (ends <= view.end) if whole else (starts < view.end) & (ends > view.start)
    shown = np.flatnonzero(inside & (counts > least))
    shown = shown[np.argsort(-counts[shown], kind="stable")[:most]]
    longest = int((ends - starts)[shown].max(initial=1))
    arcs = []
    for start, end, index in zip(starts[shown].tolist(), ends[shown].tolist(), shown.tolist(), strict=True):
        strand = str(junctions["strand"].values[index])
        feet = (_height(coverage, strand, start - 1), _height(coverage, strand, end))
        rise = scale * (_LOWEST + (_HIGHEST - _LOWEST) * (end - start) / longest)
        top = (-1 if strand == "-" else 1) * (max(abs(foot) for foot in feet) + rise)
        arcs.append(_Arc(start, end, strand, float(counts[index]), feet, top))
    return arcs


def _write_counts(
    ax: matplotlib.axes.Axes, arcs: list[_Arc], scale: float, point: float, color: str | None
) -> list[float]:
    """Numbers where there is room, the largest first; returns their heights. `point` is 1/72 inch in base pairs."""
    taken: list[tuple[float, float, float, float]] = []
    for arc in arcs:
        text = number(arc.count)
        half = (0.35 * len(text) + 0.3) * _LABEL * point
        left, right, y = arc.middle - half, arc.middle + half, arc.top
        if arc.end - arc.start < half:  # a number wider than its arc goes beyond those beside it
            y = arc.sign * (max(one.reach(left, right) for one in arcs if one.sign == arc.sign) + 0.12 * scale)
        box = (left, right, y - 0.09 * scale, y + 0.09 * scale)
        if all(box[1] < b[0] or b[1] < box[0] or box[3] < b[2] or b[3] < box[2] for b in taken):
            taken.append(box)
            shade = color or STRAND_COLORS[arc.strand]
            ax.text(arc.middle, y, text, size=_LABEL, color=shade, ha="center", va="center", zorder=4, clip_on=True,
                    path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip
    return [(box[2] + box[3]) / 2 for box in taken]


def _height(coverage: xr.DataArray | None, strand: str, base: int) -> float:
    """Of the drawn coverage at a base; 0 where it was not measured, or is of the other strand."""
    if coverage is None or not coverage.sizes["position"]:
        return 0.0
    starts: Int[np.ndarray, " position"] = coverage["start"].values
    place = int(np.clip(np.searchsorted(starts, base, side="right") - 1, 0, len(starts) - 1))
    values: Float[np.ndarray, "position track"] = coverage.values.reshape(len(starts), -1)
    strands = np.atleast_1d(coverage["strand"].values).tolist() if "strand" in coverage.coords else ["."]
    wanted = strand if strand in strands else "." if strand != "-" else ""
    if wanted not in strands:
        return 0.0
    return float(np.nan_to_num(mirrored(values[:, strands.index(wanted)], wanted)[place]))
