"""Alleles over each other, and ALT - REF: what an indel shifts is lined up first, and the place is marked."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.colors import to_hex

from ag_data.plot.axes import COLORS, new_axes, number, set_view, shade_unmeasured
from ag_data.plot.indels import line_up, mark_variant
from ag_data.plot.inputs import as_signal, crop, pool
from ag_data.plot.tracks import ALT_COLOR, fill_difference

_KNOWN = {"REF": "#8c8c8c", "ALT": ALT_COLOR}


def draw_overlay(
    alleles: Mapping[str, object],
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    variant: Variant | None = None,
    colors: Mapping[str, str] | None = None,
    cmap: str | None = None,
    filled: bool = False,
    alpha: float = 0.8,
    by_mean: bool = True,
    legend_loc: str = "upper right",
) -> matplotlib.axes.Axes:
    """Draws one track of each of `alleles` over each other, and returns the axes.

    - Values are what `ag_data.plot.inputs.as_signal` reads, each with one track. REF comes first; with `variant`, or
      where the data say so themselves, the others are moved from ALT's coordinates to REF's: a deletion is a gap, an
      insertion is pooled to its largest value, and both are marked.
    - `by_mean`: the larger mean is drawn first, so that it hides nothing. `filled` also shades below the first.
    - `legend_loc`: as matplotlib's, or '' for no legend.

    Raises InputError for a view outside the data, ValueError for several tracks.
    """
    ax = new_axes(ax, 1.2)
    signals, variants = _ready(alleles, view, variant)
    colors = colors or choose_colors(list(signals), cmap)
    means = {label: float(np.nanmean(np.nan_to_num(one.values))) for label, one in signals.items()}
    order = sorted(signals, key=lambda label: -means[label]) if by_mean else list(signals)
    low, high = 0.0, 0.0
    set_view(ax, view)
    for label in order:
        edges, values = steps(signals[label])
        if filled or label == "REF":
            ax.stairs(values, edges, fill=True, color=colors[label], alpha=0.35 * alpha, linewidth=0)
        ax.stairs(values, edges, baseline=None, color=colors[label], alpha=alpha, linewidth=1.0, label=label)
        finite = values[np.isfinite(values)]
        low, high = min(low, finite.min(initial=0.0)), max(high, finite.max(initial=0.0))
    for one in variants:
        mark_variant(ax, one, view)
    ax.axhline(0, color="0.6", linewidth=0.5)
    # The legend stands above the curves.
    ax.set_ylim(1.05 * low, (1.3 if legend_loc.startswith("upper") else 1.05) * (high or 1.0))
    ticks = sorted({low, 0.0, high})
    ax.set_yticks(ticks, [number(tick) for tick in ticks])
    if legend_loc:
        handles = {str(one.get_label()): one for one in ax.patches if one.get_label() in signals}
        style = {"fontsize": 7.5, "frameon": False, "handlelength": 1.4, "borderaxespad": 0.1, "columnspacing": 1.2}
        shown = [handles[label] for label in signals]
        ax.legend(shown, list(signals), loc=cast(Any, legend_loc), ncols=len(signals), **style)
    return ax


def draw_difference(
    ref: object,
    alt: object,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    variant: Variant | None = None,
    limit: float | None = None,
) -> matplotlib.axes.Axes:
    """Draws ALT - REF of one track, gains above the line and losses below, and returns the axes.

    Data and `variant` are as for `draw_overlay`; the scale ends at `limit` or the largest change in view. Where ALT
    has no such bases the stretch is hatched. Raises as `draw_overlay`, and ValueError for bins of different sizes.
    """
    ax = new_axes(ax, 1.0)
    both = {"REF": _single("REF", as_signal(ref)), "ALT": _single("ALT", as_signal(alt))}
    signals, variants = line_up(both, variant)
    change = subtract(signals["REF"], signals["ALT"])
    edges, values = steps(pool(crop(change, view)))
    set_view(ax, view)
    fill_difference(ax, edges, values, limit or float(np.max(np.abs(values), where=np.isfinite(values), initial=0)))
    for one in variants:
        mark_variant(ax, one, view, label=False)
    shade_unmeasured(ax, edges[:-1], edges[1:], values, *ax.get_ylim())
    return ax


def subtract(ref: xr.DataArray, alt: xr.DataArray) -> xr.DataArray:
    """ALT - REF of signals in the same bins. Raises ValueError for others."""
    same = ref.shape == alt.shape and all(np.array_equal(ref[key].values, alt[key].values) for key in ("start", "end"))
    if not same:
        raise ValueError(f"REF {ref.shape} and ALT {alt.shape} are not of the same bins and tracks; predict both alike")
    return ref.copy(data=alt.values.astype(np.float64) - ref.values)


def steps(signal: xr.DataArray) -> tuple[Float[np.ndarray, " edge"], Float[np.ndarray, " position"]]:
    """Edges on the 1-based scale and values of a signal with one track."""
    edges = np.append(signal["start"].values, signal["end"].values[-1:]) + 0.5
    return edges, signal.values[:, 0].astype(np.float64)


def choose_colors(labels: Sequence[str], cmap: str | None = None) -> dict[str, str]:
    """Grey and blue for REF and ALT, and colours that anyone can tell apart, or those of a colour map, for others."""
    if cmap is not None:
        places = np.linspace(0, 0.85, len(labels))  # the light end of most maps is not seen on white
        return {label: to_hex(colormaps[cmap](place)) for label, place in zip(labels, places, strict=True)}
    others = [label for label in labels if label not in _KNOWN]
    plain = COLORS if len(others) == len(labels) else COLORS[1:]
    return _KNOWN | {label: plain[number % len(plain)] for number, label in enumerate(others)}


def _ready(
    alleles: Mapping[str, object], view: Interval, variant: Variant | None
) -> tuple[dict[str, xr.DataArray], list[Variant]]:
    signals, variants = line_up({label: _single(label, as_signal(one)) for label, one in alleles.items()}, variant)
    return {label: pool(crop(signal, view)) for label, signal in signals.items()}, variants


def _single(label: str, signal: xr.DataArray) -> xr.DataArray:
    if signal.dims != ("position", "track") or signal.sizes["track"] != 1:
        raise ValueError(f"{label} has {dict(signal.sizes)}; choose one track of signal by isel(track=[0])")
    return signal
