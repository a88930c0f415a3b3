"""A contact map as a triangle over the genome: the diagonal is the base line, height is distance."""

import matplotlib.axes
import numpy as np
from ag_core.genome import Interval
from jaxtyping import Float
from matplotlib.collections import PolyCollection
from matplotlib.colors import TwoSlopeNorm

COLORS = "RdBu_r"


def draw_contact_map(
    axes: matplotlib.axes.Axes,
    values: Float[np.ndarray, "position position_2"],
    interval: Interval,
    resolution: int,
    view: Interval | None = None,
) -> PolyCollection:
    """Draws the upper triangle of a symmetric map of log ratios over `interval`, in bins of `resolution` bp.

    White is 0; the colours end at the 99th percentile of magnitudes. x is the 1-based position, y the distance
    between two bins in bp. Returns what a colour bar needs. Raises ValueError for a map of another size.
    """
    bins = interval.width // resolution
    if values.shape != (bins, bins):
        raise ValueError(
            f"a map over {interval} in bins of {resolution} bp has {bins} x {bins} values, got {values.shape}"
        )
    view = view or interval
    rows, columns = np.triu_indices(bins)
    shown = values[rows, columns].astype(np.float64)
    # A pixel is a diamond around the middle of its two bins.
    middle = interval.start + 0.5 + resolution * (rows + columns + 1) / 2
    distance = resolution * (columns - rows).astype(float)
    half = resolution / 2
    diamond = np.array([[-half, 0.0], [0.0, 2 * half], [half, 0.0], [0.0, -2 * half]])
    corners = np.stack([middle, distance], axis=1)[:, None] + diamond
    finite = np.abs(shown[np.isfinite(shown)])
    limit = float(np.percentile(finite, 99)) if finite.size else 1.0
    norm = TwoSlopeNorm(0.0, -(limit or 1.0), limit or 1.0)
    pixels = PolyCollection(list(corners), array=shown, cmap=COLORS, norm=norm, edgecolors="face", linewidths=0.1)
    axes.add_collection(pixels)
    axes.set(xlim=(view.start + 0.5, view.end + 0.5), ylim=(0, view.width))
    return pixels
