"""Are values counts, perhaps scaled or transformed? What tells is that small values are multiples of one step.

A track of counts that was multiplied by a constant (counts per million) still has few distinct small values, all
multiples of one unit. After a logarithm or a root they are not, until it is undone.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

# Values looked at, and distinct values kept: small ones tell.
_VALUES, _LEVELS = 400_000, 400
# Values that differ by less are the same level written with another rounding (float32 has 7 digits).
_SAME = 1e-5
# Multiples of the unit that are looked at, how far from whole numbers float16 (11 bits) may put them, and up to where
# it tells whole numbers from others.
_MULTIPLES, _TOLERANCE, _HALF, _WHOLE_HALF = 50, 0.02, 2.0**-11, 512
# The smallest value may stand for up to this many counts.
_SMALLEST = 4
# Shares of values and of distinct values that must fit; a few may be odd where files were merged.
_FIT_VALUES, _FIT_LEVELS = 0.97, 0.9
# Share of all values that are small enough to tell.
_SEEN = 0.02

# For transforms: multiples looked at (rounding grows with them); how far from whole numbers they may be, and how many
# distinct ones are needed to be sure: fewer where values are exact.
_UNDONE_MULTIPLES = 16
_UNDONE = ((0.003, 4), (0.06, 6))
# Share of the whole numbers in reach that must be there, and of values that may be whole before.
_DENSE, _EXPLAINED = 0.3, 0.6
UNDO: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ln(1 + x)": np.expm1,
    "log2(1 + x)": lambda values: np.exp2(values) - 1,
    "log10(1 + x)": lambda values: np.power(10.0, values) - 1,
    "the square root of x": np.square,
    "sqrt(1 + x) - 1": lambda values: np.square(values + 1) - 1,
    "x to the power 3/4": lambda values: np.power(values, 4 / 3),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
    """The smallest distinct positive values, how often each occurs, and how many values were looked at."""

    value: Float[np.ndarray, " level"]
    count: Int[np.ndarray, " level"]
    total: int

    @functools.cached_property
    def unit(self) -> float | None:
        """What one count is worth, or None when values are no multiples of anything."""
        if not len(self.value):
            return None
        return next((step for step in _steps(self.value) if self._fits(step)), None)

    def _fits(self, step: float) -> bool:
        multiple = self.value / step
        if step == 1:  # whole numbers, as far as float16 shows them
            seen = self.value < _WHOLE_HALF
            fits = _whole(multiple, 1e-3) & (multiple > 0.5)
        else:
            seen = multiple <= _MULTIPLES
            fits = _whole(multiple, _TOLERANCE + _HALF * multiple) & (multiple > 0.5)
        if self.count[seen].sum() < _SEEN * self.total:
            return False
        return _share(fits, seen, self.count) >= _FIT_VALUES and bool(np.mean(fits[seen]) >= _FIT_LEVELS)


def find_levels(values: Float[np.ndarray, " value"]) -> Levels:
    """The levels of positive values (any others are left out)."""
    values = values[:: max(1, len(values) // _VALUES)].astype(np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    distinct, counts = np.unique(values, return_counts=True)
    if not len(distinct):
        return Levels(distinct, counts, 0)
    first = np.flatnonzero(np.r_[True, np.diff(distinct) > _SAME * distinct[1:]])
    merged = np.add.reduceat(counts, first)
    return Levels(distinct[first][:_LEVELS], merged[:_LEVELS], len(values))


def find_transform(levels: Levels) -> str | None:
    """The transform of counts that explains values which are not counts themselves; None when none does."""
    if levels.unit is not None or not len(levels.value):
        return None
    found: dict[str, float] = {}
    for name, undo in UNDO.items():
        with np.errstate(over="ignore"):
            undone = undo(levels.value)
        for raw_step, step in zip(_steps(levels.value), _steps(undone), strict=True):
            if step > 0 and (rest := _misfit(undone / step, levels.value / raw_step, levels)) is not None:
                found[name] = min(rest, found.get(name, rest))
    # Of small values, several fit more or less.
    return min(found, key=found.__getitem__, default=None)


def _misfit(multiple: np.ndarray, before: np.ndarray, levels: Levels) -> float | None:
    """How far multiples are from whole numbers, on the mean; None where they are not, or were so `before`."""
    seen = (multiple <= _UNDONE_MULTIPLES) & (multiple > 0.5)
    few = levels.count[seen].sum() < _SEEN * levels.total
    # Squares of whole numbers are whole too.
    if few or np.mean(_whole(before[seen], _UNDONE[-1][0])) > _EXPLAINED:
        return None
    for tolerance, needed in _UNDONE:
        fits = _whole(multiple, tolerance)
        found = np.unique(np.round(multiple[seen & fits]))
        # Counts leave out few whole numbers.
        enough = len(found) >= needed and len(found) >= _DENSE * (found[-1] - found[0] + 1)
        if enough and _share(fits, seen, levels.count) >= _FIT_VALUES and np.mean(fits[seen]) >= _FIT_LEVELS:
            return float(np.mean(np.abs(multiple[seen] - np.round(multiple[seen]))))
    return None


def _steps(values: np.ndarray) -> list[float]:
    """What one count may be worth."""
    return [*(float(values[0]) / k for k in range(1, _SMALLEST + 1)), 1.0]


def _whole(values: np.ndarray, tolerance: np.ndarray | float) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # where undoing a logarithm overflowed
        return np.abs(values - np.round(values)) <= tolerance


def _share(fits: np.ndarray, seen: np.ndarray, counts: np.ndarray) -> float:
    return float(counts[fits & seen].sum() / counts[seen].sum())
