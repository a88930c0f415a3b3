"""Contact maps: a triangle over the genome, the diagonal as base line and height as distance; or a square."""

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, Normalize, TwoSlopeNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ag_data.plot.axes import distance, new_axes, set_view

COLORS, COUNT_COLORS = "RdBu_r", "magma_r"
_UNMEASURED = "0.9"


def draw_contacts(
    contacts: xr.DataArray,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    square: bool = False,
    limit: float | None = None,
    norm: Normalize | None = None,
    cmap: str | Colormap | None = None,
) -> matplotlib.axes.Axes:
    """Draws one map (position, offset) as `ag_data.plot.read_window` gives it, and returns the axes.

    A symmetric map (position, position_2) with the same coordinates will do, too. Log ratios (by their unit, or
    negative values) are blue and red around white at 0, others go from light to dark. Colours end at `limit`, by
    default the 99th percentile of magnitudes; `norm` and `cmap` replace them. Pairs that were not measured are grey.
    `ax.collections[0]` is what a colour bar needs. Raises ValueError for several tracks.
    """
    contacts = as_band(contacts)
    starts, values = contacts["start"].values, contacts.values
    size = int(contacts["end"].values[0] - starts[0]) if len(starts) else 1
    row, offset = (index.ravel() for index in np.indices(values.shape))
    inside = row + offset < len(values)
    row, offset = row[inside], offset[inside]
    shown = values[row, offset].astype(np.float64)
    style = _colors(shown, limit, str(contacts.attrs.get("unit", "")).startswith("log") or None)
    if norm is not None:
        style["norm"] = norm
    if cmap is not None:
        style["cmap"] = (colormaps[cmap] if isinstance(cmap, str) else cmap).with_extremes(bad=_UNMEASURED)
    if square:
        return _draw_square(new_axes(ax, 8), row, offset, shown, starts, size, view, style)
    ax = new_axes(ax, 3.5)
    _draw_diamonds(ax, row, offset, shown, int(starts[0]), size, style)
    set_view(ax, view)
    ax.set_ylim(0, min(view.width, size * values.shape[1]))
    ax.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: distance(y) if y else "0"))
    ax.set_ylabel("distance", size=7.5)
    return ax


def draw_contact_difference(
    ref: xr.DataArray,
    alt: xr.DataArray,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    square: bool = False,
    limit: float | None = None,
    norm: Normalize | None = None,
    cmap: str | Colormap | None = None,
) -> matplotlib.axes.Axes:
    """Draws ALT - REF of two maps, losses blue and gains red around white at 0, and returns the axes.

    Maps and options are as for `draw_contacts`. Bins stand where they are: an indel, far smaller than a bin, moves
    none. Raises ValueError for several tracks and for maps of other bins.
    """
    ref, alt = as_band(ref), as_band(alt)
    if ref.shape != alt.shape or not np.array_equal(ref["start"].values, alt["start"].values):
        raise ValueError(f"maps {ref.shape} and {alt.shape} are not of the same bins; predict or read them alike")
    change = ref.copy(data=alt.values.astype(np.float64) - ref.values).assign_attrs(unit="log ratio, ALT - REF")
    return draw_contacts(change, view, ax, square=square, limit=limit, norm=norm, cmap=cmap)


def as_band(contacts: xr.DataArray) -> xr.DataArray:
    """A map (position, offset) of the pairs (p, p + offset), from such a one or a symmetric one."""
    if contacts.dims == ("position", "offset"):
        return contacts
    if contacts.dims != ("position", "position_2"):
        raise ValueError(f"contacts have dimensions {contacts.dims}; choose one track by isel(track=)")
    bins = len(contacts["position"])
    partner = np.arange(bins)[:, None] + np.arange(bins)
    values = np.take_along_axis(contacts.values.astype(np.float64), partner % bins, axis=1)
    values[partner >= bins] = np.nan
    places = {key: ("position", contacts[key].values) for key in ("start", "end")}
    return xr.DataArray(values, dims=("position", "offset"), coords=places, attrs=contacts.attrs)


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
    style = _colors(shown, None, signed=True)
    pixels = _draw_diamonds(axes, rows, columns - rows, shown, interval.start, resolution, style)
    axes.set(xlim=(view.start + 0.5, view.end + 0.5), ylim=(0, view.width))
    return pixels


def _draw_diamonds(
    axes: matplotlib.axes.Axes,
    row: Int[np.ndarray, " pixel"],
    offset: Int[np.ndarray, " pixel"],
    values: Float[np.ndarray, " pixel"],
    start: int,
    size: int,
    style: dict,
) -> PolyCollection:
    """A pixel is a diamond around the middle of its two bins."""
    middle = start + 0.5 + size * (row + (offset + 1) / 2)
    half = size / 2
    diamond = np.array([[-half, 0.0], [0.0, 2 * half], [half, 0.0], [0.0, -2 * half]])
    corners = np.stack([middle, size * offset.astype(float)], axis=1)[:, None] + diamond
    # Without smooth edges neighbours leave no seam, and the map is an image in vector formats.
    pixels = PolyCollection(
        list(corners), array=np.ma.masked_invalid(values), linewidths=0, antialiaseds=False, rasterized=True,
        **style,
    )  # fmt: skip
    axes.add_collection(pixels)
    return pixels


def _draw_square(
    axes: matplotlib.axes.Axes,
    row: Int[np.ndarray, " pixel"],
    offset: Int[np.ndarray, " pixel"],
    values: Float[np.ndarray, " pixel"],
    starts: Int[np.ndarray, " position"],
    size: int,
    view: Interval,
    style: dict,
) -> matplotlib.axes.Axes:
    table = np.full((len(starts), len(starts)), np.nan)
    table[row, row + offset] = table[row + offset, row] = values
    edges = starts[0] + 0.5 + size * np.arange(len(starts) + 1)
    axes.pcolormesh(edges, edges, np.ma.masked_invalid(table), rasterized=True, **style)
    set_view(axes, view)
    axes.set_ylim(view.end + 0.5, view.start + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    axes.set_aspect("equal")
    return axes


def _colors(values: Float[np.ndarray, " pixel"], limit: float | None, signed: bool | None) -> dict:
    """A scale around 0 for values of both signs, from 0 for others; `signed` says which, if known."""
    finite = values[np.isfinite(values)]
    if limit is None:
        limit = (float(np.percentile(np.abs(finite), 99)) if finite.size else 1.0) or 1.0
    if signed or (signed is None and finite.min(initial=0) < 0):
        norm, name = TwoSlopeNorm(0.0, -limit, limit), COLORS
    else:
        norm, name = Normalize(0.0, limit), COUNT_COLORS
    return {"norm": norm, "cmap": colormaps[name].with_extremes(bad=_UNMEASURED)}
