"""Whether one calibration holds for other variants: two tables of the same scorers against each other."""

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float

from ag_scorers.calibration import Lookup
from ag_scorers.calibration_table import CalibrationTable, differences, point_ranks


def distances(one: CalibrationTable, other: CalibrationTable) -> dict[str, Float[np.ndarray, " track"]]:
    """Kolmogorov's distance between the scores of two backgrounds, by scorer and track; NaN where one has none.

    It is the largest amount by which a share of the variants of `other` differs from the quantile that `one` gives
    them, up to the spacing of break points. Two samples of n and m independent scores from one distribution differ by
    more than about 1.36 * sqrt(1 / n + 1 / m) one time in 20. Raises InputError for tables of different models or
    scorers.
    """
    wrong = differences(one.binding, other.binding)
    if wrong or [*one.scorers] != [*other.scorers]:
        what = "; ".join(wrong) or f"scorers {', '.join(one.scorers)} and {', '.join(other.scorers)}"
        raise InputError(f"two calibration tables that cannot be compared: {what}")
    return {key: _distances(one, other, key) for key in one.scorers}


def _distances(one: CalibrationTable, other: CalibrationTable, key: str) -> Float[np.ndarray, " track"]:
    mine, theirs = one.scorers[key], other.scorers[key]
    lookup = Lookup(mine, theirs.tracks, one.middle, one.tail)
    found, _ = lookup(np.ascontiguousarray(theirs.values.T))
    shares = (found.T + 1) / 2 if lookup.signed else found.T
    result = np.full(len(theirs.tracks), np.nan)
    for row, count in enumerate(theirs.count):
        ranks = point_ranks(int(count), other.middle, other.tail)
        if len(ranks) and lookup.count[row]:
            expected = (ranks + 0.5) / count
            result[row] = np.abs(shares[row, : len(ranks)] - expected).max()
    return result
