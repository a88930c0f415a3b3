"""A table of scores as a heat map, its rows and columns in the order of a hierarchical clustering."""

from collections.abc import Sequence

import matplotlib.axes
import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import TwoSlopeNorm
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist

from ag_data.plot.axes import COLORS, new_axes

# More names than this on an axis cannot be read.
_MOST_NAMES = 60


def draw_heat_map(
    values: Float[np.ndarray, "case feature"],
    cases: Sequence[str],
    features: Sequence[str],
    ax: matplotlib.axes.Axes | None = None,
    *,
    groups: Sequence[str] | None = None,
    marked: Sequence[bool] | None = None,
    limit: float | None = None,
    cluster: bool = True,
    label: str = "",
) -> matplotlib.axes.Axes:
    """Draws signed values, white at 0, and returns the axes; `ax.images[0]` is what a colour bar needs.

    Rows (cases) and columns (features) are ordered by average linkage of Euclidean distances, columns within their
    `groups` (modalities), which get a coloured band each above the map; `marked` cases are in bold. NaN is grey, and 0
    for the order. Colours end at `limit`, by default the 99th percentile of magnitudes. Raises ValueError for other
    numbers of names than rows and columns, and for an empty table.
    """
    if values.shape != (len(cases), len(features)) or not values.size:
        raise ValueError(f"values of shape {values.shape} with {len(cases)} cases and {len(features)} features")
    groups = [""] * len(features) if groups is None else list(groups)
    known = list(dict.fromkeys(groups))
    rows = (order_of(values) if cluster else np.arange(len(cases))).tolist()
    columns: list[int] = []
    for group in known:
        mine = np.array([number for number, each in enumerate(groups) if each == group])
        columns += mine[order_of(values[:, mine].T) if cluster else slice(None)].tolist()
    shown = np.ma.masked_invalid(values[rows][:, columns])
    magnitudes = np.abs(shown.compressed())
    reach = limit or (float(np.percentile(magnitudes, 99)) if magnitudes.size else 0.0) or 1.0
    ax = new_axes(ax, min(1.6 + 0.16 * len(cases), 12))
    ax.set_facecolor("0.85")
    image = ax.imshow(shown, aspect="auto", cmap="RdBu_r", norm=TwoSlopeNorm(0, -reach, reach), interpolation="nearest")
    image.set_label(label)
    _name(ax, [cases[row] for row in rows], [features[column] for column in columns])
    for row, text in zip(rows, ax.get_yticklabels(), strict=False):
        if marked is not None and marked[row]:
            text.set(weight="bold", color="#d55e00")
    begin = 0
    for number, group in enumerate(known if any(known) else ()):
        size = groups.count(group)
        color = COLORS[number % len(COLORS)]
        band = {"color": color, "clip_on": False, "transform": ax.get_xaxis_transform(), "solid_capstyle": "butt"}
        ax.plot([begin - 0.5, begin + size - 0.5], [1.015, 1.015], linewidth=4, **band)
        ax.text(
            begin + size / 2 - 0.5, 1.03, group, size=7, color=color, ha="left" if size < 4 else "center", va="bottom",
            rotation=35 if size < 4 else 0, transform=ax.get_xaxis_transform(),
        )  # fmt: skip
        begin += size
        ax.axvline(begin - 0.5, color="white", linewidth=1.2)
    return ax


def order_of(values: Float[np.ndarray, "case feature"]) -> Int[np.ndarray, " case"]:
    """Cases so that alike ones stand together; NaN counts as 0."""
    if len(values) < 3:
        return np.arange(len(values))
    filled = np.nan_to_num(np.asarray(values, np.float64))
    return leaves_list(linkage(pdist(filled), "average", optimal_ordering=len(values) <= 500))


def _name(ax: matplotlib.axes.Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    for names, axis, turn in ((rows, ax.yaxis, 0), (columns, ax.xaxis, 90)):
        if len(names) <= _MOST_NAMES:
            axis.set_ticks(range(len(names)), names)
        else:
            axis.set_ticks([])
        axis.set_tick_params(labelsize=6.5, length=0, rotation=turn)
    ax.spines[:].set_visible(False)
