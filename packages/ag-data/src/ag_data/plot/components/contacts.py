"""Contact maps, as triangles over the genome or as squares, and the difference of two."""

import dataclasses
import functools
from typing import Any

import matplotlib.axes
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from matplotlib.colors import Colormap, Normalize, TwoSlopeNorm
from matplotlib.ticker import MaxNLocator

from ag_data.plot.components.row import Row, choose_tracks, label_of
from ag_data.plot.contact_map import COLORS, draw_contacts
from ag_data.plot.inputs import as_signal, crop
from ag_data.plot.overlay import subtract

_HALF = 0.5  # of a square's height is a triangle's


@dataclasses.dataclass(frozen=True)
class ContactMaps:
    """One map for each track of `tdata`: (position, position_2 or offset, track), as `as_signal` reads it.

    - `vmin`, `vmax`: ends of the colours, white at 0; where either is None, the 99th percentile of magnitudes.
      `norm` and `cmap` replace them.
    - `square`: the whole map, upright, or else (False) its upper half as a triangle, half as high.
    - `track_height` in inches; `max_num_tracks`: InputError above; `top` as for `Tracks`.
    """

    tdata: Any
    track_height: float = 10.0
    vmin: float | None = -1.0
    vmax: float | None = 2.0
    norm: Normalize | None = None
    ylabel_horizontal: bool = True
    ylabel_template: str = "{name}"
    cmap: str | Colormap | None = None
    max_num_tracks: int = 10
    square: bool = True
    top: int | None = None

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        return map_rows(self, as_signal(self.tdata), view)


@dataclasses.dataclass(frozen=True)
class ContactMapsDiff:
    """One map of ALT - REF for each track; losses are blue, gains red, 0 is white.

    `tdata` is the difference, or with `ref` the maps of ALT from which it is made. Else as for `ContactMaps`.
    """

    tdata: Any
    track_height: float = 10.0
    vmin: float | None = -1.0
    vmax: float | None = 1.0
    norm: Normalize | None = None
    ylabel_horizontal: bool = True
    ylabel_template: str = "{name}"
    cmap: str | Colormap | None = COLORS
    max_num_tracks: int = 10
    square: bool = True
    top: int | None = None
    ref: Any = None

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`. Raises ValueError for maps of other bins or tracks."""
        change = as_signal(self.tdata)
        if self.ref is not None:
            change = subtract(as_signal(self.ref), change)
        return map_rows(self, change.assign_attrs(unit="log ratio, ALT - REF"), view)


def map_rows(component: ContactMaps | ContactMapsDiff, maps: xr.DataArray, view: Interval) -> list[Row]:
    """A row for each map."""
    if maps.ndim != 3:
        raise InputError(f"maps have dimensions {maps.dims}; expected position, position_2 (or offset) and track")
    maps = crop(maps, view)
    norm = component.norm
    if norm is None and component.vmin is not None and component.vmax is not None:
        low, high = component.vmin, component.vmax
        norm = TwoSlopeNorm(0.0, low, high) if low < 0 < high else Normalize(low, high)
    height = component.track_height * (1 if component.square else _HALF)
    rows = []
    for track in choose_tracks(maps, component.max_num_tracks, component.top):
        style = {"norm": norm, "cmap": component.cmap, "square": component.square}
        draw = functools.partial(_draw, maps.isel(track=track), view, style)
        label = label_of(maps, track, component.ylabel_template)
        rows.append(Row(height, label, draw, component.ylabel_horizontal))
    return rows


def _draw(contacts: xr.DataArray, view: Interval, style: dict[str, Any], axes: matplotlib.axes.Axes) -> None:
    draw_contacts(contacts, view, axes, **style)
    axes.set_aspect("auto")  # the width is that of all other rows
    bar = axes.inset_axes((1.01, 0.1, 0.012, 0.8), label="color bar")
    axes.figure.colorbar(axes.collections[0], cax=bar)
    bar.tick_params(labelsize=7, length=2)
    bar.yaxis.set_major_locator(MaxNLocator(5))
