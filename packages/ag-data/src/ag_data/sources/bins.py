"""From bases to bins: counts gathered over a stretch of a chromosome, and sums over the bins of a resolution."""

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float, Int, Num

Bases = Int[np.ndarray, " item"]


class Pile:
    """Counts at each base of [start, end) for some tracks; what lies outside is left out."""

    def __init__(self, start: int, end: int, tracks: int):
        self._start, self._width = start, end - start
        # Counts of bases, then changes of coverage from base to base; each made when it is needed.
        self._points: list[Bases | None] = [None] * tracks
        self._steps: list[Bases | None] = [None] * tracks

    def add_points(self, track: int, bases: Bases) -> None:
        """One more at each of these bases."""
        bases = bases - self._start
        bases = bases[(bases >= 0) & (bases < self._width)]
        self._points[track] = _added(self._points[track], np.bincount(bases, minlength=self._width))

    def add_spans(self, track: int, starts: Bases, ends: Bases) -> None:
        """One more at each base of [start, end) of each span."""
        starts = np.clip(starts - self._start, 0, self._width)
        ends = np.clip(ends - self._start, 0, self._width)
        steps = np.bincount(starts, minlength=self._width + 1)
        steps -= np.bincount(ends, minlength=self._width + 1)
        self._steps[track] = _added(self._steps[track], steps)

    def bins(self, resolution: int, scale: float = 1.0) -> Float[np.ndarray, "position track"]:
        """Sums over bins of `resolution` bp, times `scale`."""
        sums = np.zeros((-(-self._width // resolution), len(self._points)), np.float32)
        for track, (points, steps) in enumerate(zip(self._points, self._steps, strict=True)):
            counts = None if steps is None else np.cumsum(steps[:-1])
            counts = points if counts is None else _added(counts, points)
            if counts is not None:
                whole = sum_bins(counts[:, None], resolution)[:, 0]
                sums[:, track] = whole if scale == 1 else whole * scale
        return sums


def _added(total: Bases | None, more: Bases | None) -> Bases | None:
    if total is None or more is None:
        return more if total is None else total
    total += more
    return total


def sum_bins(values: Num[np.ndarray, "base track"], resolution: int) -> Num[np.ndarray, "position track"]:
    """Sums over bins of `resolution` bp, the last of which may be shorter; NaN where any base is NaN."""
    if resolution == 1:
        return values
    whole = len(values) // resolution * resolution
    sums = values[:whole].reshape(-1, resolution, values.shape[1]).sum(axis=1)
    if whole < len(values):
        sums = np.concatenate([sums, values[whole:].sum(axis=0, keepdims=True)])
    return sums


def check_resolution(resolution: object) -> int:
    """`resolution` if it is one. Raises InputError otherwise."""
    if type(resolution) is not int or resolution < 1:
        raise InputError(f"resolution is {resolution!r}; expected a whole number of base pairs, at least 1")
    return resolution


def check_choice(option: str, value: object, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`. Raises InputError otherwise."""
    if value not in choices or not isinstance(value, str):
        raise InputError(f"{option} is {value!r}; expected one of {', '.join(choices)}")
    return value
