"""Tracks below each other, one axes for each."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval
from matplotlib import colormaps
from matplotlib.colors import to_hex

from ag_data.plot.components.row import MOST_TRACKS, Row, choose_tracks, common_limits, label_of, set_limits
from ag_data.plot.inputs import as_signal, crop, pool
from ag_data.plot.signal import draw_track
from ag_data.plot.sites import draw_sites

_VISIBLE = 0.8  # of a colour map: its light end is not seen on white


@dataclasses.dataclass(frozen=True)
class Tracks:
    """One axes for each track of `tdata` (anything that `ag_data.plot.inputs.as_signal` reads).

    - `cmap`, `truncate_cmap`: colours along the tracks, without the map's light end; `track_colors` replaces them.
    - `filled`: down to 0, or else a line. `track_height` in inches.
    - `ylabel_template`: any columns of the track table; `ylabel_horizontal`: on the left, or upright.
    - `shared_y_scale`: one scale for all; `global_ylims` gives it.
    - `max_num_tracks`: InputError above; `top`: draws only those with the largest values in view.

    More than 1,500 bins in view are pooled to the value of largest magnitude.
    """

    tdata: Any
    cmap: str = "viridis"
    truncate_cmap: bool = True
    track_height: float = 1.0
    filled: bool = False
    ylabel_template: str = "{name}:{strand}"
    ylabel_horizontal: bool = True
    shared_y_scale: bool = False
    global_ylims: tuple[float, float] | None = None
    max_num_tracks: int = MOST_TRACKS
    track_colors: Sequence[Any] | str | None = None
    top: int | None = None

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        signal = crop(as_signal(self.tdata), view)
        chosen = choose_tracks(signal, self.max_num_tracks, self.top)
        signal = signal.isel(track=chosen)
        sites = signal.attrs.get("layout") in ("usage", "classes")
        signal = signal if sites else pool(signal)
        limits = self.global_ylims
        if limits is None and self.shared_y_scale:
            limits = common_limits({"": signal})
        colors = choose_colors(len(chosen), self.track_colors, self.cmap, self.truncate_cmap)
        rows = []
        for number, color in enumerate(colors):
            one = signal.isel(track=[number])
            draw = functools.partial(self._draw, one, view, color, limits, sites)
            label = label_of(signal, number, self.ylabel_template)
            rows.append(Row(self.track_height, label, draw, self.ylabel_horizontal))
        return rows

    def _draw(
        self,
        signal: xr.DataArray,
        view: Interval,
        color: str,
        limits: tuple[float, float] | None,
        sites: bool,
        axes: matplotlib.axes.Axes,
    ) -> None:
        if sites:
            draw_sites(signal, view, axes, colors=(color,))
        else:
            # Each track has an axes of its own, where '-' need not hang down.
            alone = signal.assign_coords(strand=("track", np.array(["."], object)))
            draw_track(alone, view, axes, color=color, filled=self.filled)
            set_limits(axes, limits)


def choose_colors(size: int, colors: Sequence[Any] | str | None, cmap: str, truncate: bool) -> list[str]:
    """As many colours as there are tracks."""
    if isinstance(colors, str):
        return [colors] * size
    if colors is not None:
        return [to_hex(colors[number % len(colors)]) for number in range(size)]
    return [to_hex(colormaps[cmap](x)) for x in np.linspace(0, _VISIBLE if truncate else 1, size)]
