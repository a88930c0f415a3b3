"""Splice junctions as arcs, one axes for each track and strand."""

import dataclasses
import functools
from typing import Any

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.plot.axes import COLORS
from ag_data.plot.components.row import MOST_TRACKS, Row, label_of
from ag_data.plot.inputs import as_junctions, as_signal, crop, pool
from ag_data.plot.sashimi import draw_sashimi

_SHARE, _SUM = 0.05, 10.0


@dataclasses.dataclass(frozen=True)
class Sashimi:
    """Junctions of `junction_track` (anything that `ag_data.plot.inputs.as_junctions` reads).

    - `filter_threshold`: those with smaller values are left out; by default 5 % of the largest one in view.
    - `normalize_values`: the values of a track on a strand, in view, sum up to 10. `annotate_counts`: numbers on arcs.
    - `interval_contained`: only junctions wholly in view, or all that touch it.
    - `coverage`: signal that the arcs stand on, as for `Tracks`, with one track or as many as there are of junctions.
    - `color`: of arcs, instead of those of the strands. `max_num_tracks`: InputError above.
    """

    junction_track: Any
    fig_height: float = 1.0
    filter_threshold: float | None = None
    ylabel_template: str = "{name}"
    ylabel_horizontal: bool = True
    annotate_counts: bool = True
    normalize_values: bool = True
    interval_contained: bool = True
    color: str | None = None
    coverage: Any = None
    max_num_tracks: int = MOST_TRACKS

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        junctions = as_junctions(self.junction_track)
        chromosome = str(junctions.attrs.get("chromosome", view.chromosome))
        if chromosome != view.chromosome:
            raise InputError(f"junctions lie on {chromosome}, the view is {view.region}; choose one interval for both")
        starts, ends = junctions["start"].values, junctions["end"].values
        inside = (starts < view.end) & (ends > view.start)
        if self.interval_contained:
            inside = (starts >= view.start) & (ends <= view.end)
        junctions = junctions.isel(junction=inside)
        strands = list(dict.fromkeys(junctions["strand"].values.astype(object).tolist())) or ["."]
        size = junctions.sizes["track"]
        if size * len(strands) > self.max_num_tracks:
            raise InputError(
                f"{size} tracks on {len(strands)} strands are more than {self.max_num_tracks} axes; choose some by "
                "isel(track=), or raise max_num_tracks"
            )
        coverage = None if self.coverage is None else pool(crop(as_signal(self.coverage), view))
        rows = []
        for track in range(size):
            for strand in sorted(strands):
                one = junctions.isel(track=track, junction=junctions["strand"].values.astype(object) == strand)
                below = None if coverage is None else coverage.isel(track=[track % coverage.sizes["track"]])
                label = label_of(junctions, track, self.ylabel_template)
                label = f"{label} ({strand})" if strand in "+-" else label
                draw = functools.partial(self._draw, one, below, view)
                rows.append(Row(self.fig_height, label, draw, self.ylabel_horizontal))
        return rows

    def _draw(
        self, junctions: xr.Dataset, coverage: xr.DataArray | None, view: Interval, axes: matplotlib.axes.Axes
    ) -> None:
        counts = junctions["count"].values.astype(np.float64)
        total = float(np.nansum(counts))
        if self.normalize_values and total > 0:
            counts = counts * _SUM / total
        largest = float(np.nanmax(counts, initial=0.0))
        least = _SHARE * largest if self.filter_threshold is None else self.filter_threshold
        kept = counts >= max(least, np.finfo(np.float64).tiny)
        shown = junctions.assign(count=("junction", counts)).isel(junction=kept)
        draw_sashimi(
            shown, view, axes, coverage=coverage, color=COLORS[-1], counts=self.annotate_counts,
            whole=self.interval_contained, arc_color=self.color,
        )  # fmt: skip
