"""The effect of every substitution as a heat map: base by position, the genome's own base marked."""

import matplotlib.axes
import numpy as np
from ag_core.genome import Interval
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.colors import TwoSlopeNorm

from ag_data.plot.axes import new_axes, set_view
from ag_data.plot.contact_map import COLORS
from ag_data.plot.logo import BASES, check_scores


def draw_mutations(
    effects: Float[np.ndarray, "position base"],
    interval: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    reference: str = "",
    view: Interval | None = None,
    limit: float | None = None,
) -> matplotlib.axes.Axes:
    """Draws the effect of each base (order ACGT) at each position of `interval`, and returns the axes.

    - Losses are blue, gains red, white is 0. Colours end at `limit`, by default the largest magnitude in view.
    - `reference`: the genome's bases over `interval`, marked by dots; by default the one that is NaN at a position
      where the others are known. N has no mark. Other NaN are grey.
    - `view`: the part to show; x is the 1-based position.

    `ax.collections[0]` is what a colour bar needs. Raises InputError for a view outside the interval, ValueError for
    other shapes or lengths.
    """
    _, view = check_scores(effects, interval, view)
    if reference and len(reference) != interval.width:
        raise ValueError(f"reference has {len(reference)} bases; {interval} has {interval.width}")
    part = slice(view.start - interval.start, view.end - interval.start)
    shown = effects[part].astype(np.float64)
    if reference:
        own = np.array([[base == letter for base in BASES] for letter in reference[part].upper()])
    else:
        own = np.isnan(shown) & (np.isnan(shown).sum(axis=1) == 1)[:, None]
    table = np.where(own, 0.0, shown)
    ax = new_axes(ax, 1.4)
    limit = limit or float(np.max(np.abs(table), where=np.isfinite(table), initial=0)) or 1.0
    style = {"norm": TwoSlopeNorm(0.0, -limit, limit), "cmap": colormaps[COLORS].with_extremes(bad="0.85")}
    edges = view.start + 0.5 + np.arange(view.width + 1)
    ax.pcolormesh(edges, np.arange(5) - 0.5, np.ma.masked_invalid(table.T), rasterized=True, **style)
    set_view(ax, view)
    row, base = np.nonzero(own)
    size = min(3.0, 300 / view.width)
    ax.plot(view.start + 1 + row, base, "o", color="0.25", markersize=size, markeredgewidth=0, label="reference")
    ax.set_ylim(3.5, -0.5)
    ax.set_yticks(range(4), list(BASES))
    return ax
