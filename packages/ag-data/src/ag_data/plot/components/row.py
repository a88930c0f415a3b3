"""What a component is: something that has rows over an interval, each with a height, a label and a way to be drawn."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval

MOST_TRACKS = 50


def _nothing(axes: matplotlib.axes.Axes) -> None:
    axes.set_axis_off()


@dataclasses.dataclass(frozen=True)
class Row:
    """One axes of a figure: `height` in inches, `label` beside it, upright or `horizontal`.

    `draw` is given the axes; whatever it sets, x is the 1-based position and covers the figure's interval.
    """

    height: float
    label: str = ""
    draw: Callable[[matplotlib.axes.Axes], object] = _nothing
    horizontal: bool = True


@runtime_checkable
class Component(Protocol):
    """Anything with such a method can be given to `plot`."""

    def rows(self, view: Interval, width: float) -> Sequence[Row]:
        """Its rows for `view`; `width` of the axes is in inches. Raises InputError where it has nothing to show."""
        ...


@dataclasses.dataclass(frozen=True)
class EmptyComponent:
    """Room between others."""

    fig_height: float = 1.0

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        return [Row(self.fig_height)]


def choose_tracks(signal: xr.DataArray, most: int, top: int | None) -> list[int]:
    """Rows of the track table to draw: all, or the `top` ones with the largest values in view, in their order.

    Raises InputError where these are more than `most`.
    """
    size = signal.sizes["track"]
    if top is not None and top < size:
        values = np.abs(signal.values.reshape(-1, size))
        peaks = np.max(values, axis=0, initial=0, where=np.isfinite(values))
        return sorted(np.argsort(-peaks, kind="stable")[:top].tolist())
    if size > most:
        raise InputError(
            f"{size} tracks are more than the {most} that fit below each other; choose some by isel(track=), pass "
            f"top={min(most, 10)} for those with the largest values, or raise max_num_tracks"
        )
    return list(range(size))


def label_of(signal: xr.DataArray | xr.Dataset, track: int, template: str) -> str:
    """`template` with the columns of the track table in braces. Raises InputError for a column that is not there."""
    columns = {str(name): column.values[track] for name, column in signal.coords.items() if column.dims == ("track",)}
    try:
        return template.format_map(columns)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"label {template!r} cannot be filled in ({error}); the tracks have {', '.join(sorted(columns))}"
        ) from error


def common_limits(signals: Mapping[object, xr.DataArray]) -> tuple[float, float]:
    """From the smallest value (at most 0) to the largest."""
    low, high = 0.0, 0.0
    for signal in signals.values():
        finite = signal.values[np.isfinite(signal.values)]
        low, high = min(low, float(finite.min(initial=0))), max(high, float(finite.max(initial=0)))
    return 1.05 * low, 1.05 * (high or 1.0)


def set_limits(axes: matplotlib.axes.Axes, limits: tuple[float, float] | None) -> None:
    """Sets the y limits, if given, with labels at 0 and the two ends."""
    if limits is not None:
        low, high = limits
        ticks = sorted({low, high} | ({0.0} if low <= 0 <= high else set()))
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
