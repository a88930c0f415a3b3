"""Tracks of several alleles over each other, and ALT - REF, lined up through an indel."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
import xarray as xr
from ag_core.genome import Interval, Variant

from ag_data.plot.components.row import MOST_TRACKS, Row, choose_tracks, common_limits, label_of, set_limits
from ag_data.plot.indels import line_up, mark_variant
from ag_data.plot.inputs import as_signal, as_variant, crop
from ag_data.plot.overlay import draw_difference, draw_overlay, subtract


@dataclasses.dataclass(frozen=True)
class OverlaidTracks:
    """One axes for each track, with the same track of each of `tdata`: {"REF": ..., "ALT": ...}.

    - `tdata`: values are as for `Tracks`, with the same tracks; the first is the reference.
    - `variant`: of which ALT's values are in its own coordinates: they are moved to REF's, with a gap for a deletion
      and a mark for an insertion. What `ag_scorers` predicts says so itself.
    - `colors` by label, or a `cmap`; by default REF is grey, ALT blue.
    - `order_tdata_by_mean`: the larger mean is drawn first. `legend_loc`: '' for no legend.
    - `top`: draws the tracks that differ most in view. All else as for `Tracks`.
    """

    tdata: Mapping[str, Any]
    colors: Mapping[str, str] | None = None
    cmap: str | None = None
    track_height: float = 1.0
    ylabel_template: str = "{name}:{strand}"
    ylabel_horizontal: bool = True
    shared_y_scale: bool = False
    global_ylims: tuple[float, float] | None = None
    yticks: Sequence[float] | None = None
    yticklabels: Sequence[str] | None = None
    alpha: float = 0.8
    order_tdata_by_mean: bool = True
    max_num_tracks: int = MOST_TRACKS
    legend_loc: str = "upper right"
    filled: bool = False
    variant: Any = None
    top: int | None = None

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        signals, variants = lined_up(self.tdata, self.variant)
        first, *others = signals.values()
        shown = crop(first, view)
        if self.top is not None and others:
            shown = crop(subtract(first, others[0]), view)
        chosen = choose_tracks(shown, self.max_num_tracks, self.top)
        limits = self.global_ylims
        if limits is None and self.shared_y_scale:
            limits = common_limits({label: crop(one, view).isel(track=chosen) for label, one in signals.items()})
        rows = []
        for number, track in enumerate(chosen):
            alleles = {label: one.isel(track=[track]) for label, one in signals.items()}
            draw = functools.partial(self._draw, alleles, view, variants, limits, self.legend_loc if not number else "")
            rows.append(
                Row(self.track_height, label_of(first, track, self.ylabel_template), draw, self.ylabel_horizontal)
            )
        return rows

    def _draw(
        self,
        alleles: Mapping[str, xr.DataArray],
        view: Interval,
        variants: Sequence[Variant],
        limits: tuple[float, float] | None,
        legend_loc: str,
        axes: matplotlib.axes.Axes,
    ) -> None:
        colors, cmap = self.colors, self.cmap
        style = {"alpha": self.alpha, "by_mean": self.order_tdata_by_mean, "filled": self.filled}
        draw_overlay(alleles, view, axes, colors=colors, cmap=cmap, legend_loc=legend_loc, **style)
        for variant in variants:
            mark_variant(axes, variant, view)
        set_limits(axes, limits)
        if self.yticks is not None:
            axes.set_yticks(list(self.yticks), None if self.yticklabels is None else list(self.yticklabels))


@dataclasses.dataclass(frozen=True)
class Difference:
    """One axes for each track with ALT - REF: gains above the line, losses below.

    `tdata`, `variant`, `top` and what concerns labels are as for `OverlaidTracks`, of two alleles.
    """

    tdata: Mapping[str, Any]
    track_height: float = 0.7
    ylabel_template: str = "ALT \N{MINUS SIGN} REF"
    ylabel_horizontal: bool = True
    shared_y_scale: bool = False
    max_num_tracks: int = MOST_TRACKS
    variant: Any = None
    top: int | None = None

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`. Raises ValueError for other than two alleles."""
        if len(self.tdata) != 2:
            raise ValueError(f"a difference of {', '.join(self.tdata)}: expected two alleles, REF and ALT")
        signals, variants = lined_up(self.tdata, self.variant)
        ref, alt = signals.values()
        change = crop(subtract(ref, alt), view)
        chosen = choose_tracks(change, self.max_num_tracks, self.top)
        low, high = common_limits({"": change.isel(track=chosen)})
        limit = max(high, -low) / 1.05 if self.shared_y_scale else None
        rows = []
        for track in chosen:
            pair = ref.isel(track=[track]), alt.isel(track=[track])
            draw = functools.partial(_draw_difference, *pair, view, variants, limit)
            label = label_of(ref, track, self.ylabel_template)
            rows.append(Row(self.track_height, label, draw, self.ylabel_horizontal))
        return rows


def _draw_difference(
    ref: xr.DataArray,
    alt: xr.DataArray,
    view: Interval,
    variants: Sequence[Variant],
    limit: float | None,
    axes: matplotlib.axes.Axes,
) -> None:
    draw_difference(ref, alt, view, axes, limit=limit)
    for variant in variants:
        mark_variant(axes, variant, view, label=False)


def lined_up(alleles: Mapping[str, Any], variant: Any) -> tuple[dict[str, xr.DataArray], list[Variant]]:
    """Signals of each allele at the positions of the first, without the attribute that would have them marked twice."""
    given = {label: as_signal(one) for label, one in alleles.items()}
    signals, variants = line_up(given, None if variant is None else as_variant(variant))
    return {label: one.drop_attrs().assign_attrs(_place(one)) for label, one in signals.items()}, variants


def _place(signal: xr.DataArray) -> dict[str, Any]:
    return {key: value for key, value in signal.attrs.items() if key not in ("variant", "frame")}
