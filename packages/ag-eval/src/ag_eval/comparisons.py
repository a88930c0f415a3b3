"""Is one predictor better than another? Paired bootstrap, many comparisons at once, gains over what is published."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control

from ag_eval.metrics import Cases, Estimate, Metric, limits


class Difference(NamedTuple):
    """Of a metric, one predictor less another, with its interval; `p` is two-sided, from the same draws."""

    estimate: Estimate
    p: float


def difference(
    metric: Metric,
    target: Cases,
    one: Cases,
    other: Cases,
    *,
    blocks: Int[np.ndarray, " case"] | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Both on the same resampled cases; what belongs together shares a number in `blocks`, as for `bootstrap`.

    NaN where the metric is not defined; without a draw p is NaN, and never below 1 / (draws + 1).
    """
    value = metric(target, one) - metric(target, other)
    numbers = np.arange(len(target)) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    draws = np.full(repeats if count else 0, np.nan)
    for i in range(len(draws)):
        often = np.bincount(random.integers(0, count, count), minlength=count)[numbers]
        draws[i] = metric(target, one, often) - metric(target, other, often)
    known = draws[~np.isnan(draws)]
    if not len(known) or np.isnan(value):
        return Difference(Estimate(value, *limits(draws, level, count)), float("nan"))
    # Draws of no difference count for neither side.
    side = min(np.mean(known < 0), np.mean(known > 0)) + np.mean(known == 0) / 2
    return Difference(Estimate(value, *limits(draws, level, count)), float(np.clip(2 * side, 1 / (len(known) + 1), 1)))


def adjusted(p_values: Sequence[float] | Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Benjamini and Hochberg's adjusted p-values; NaN stays NaN and does not count as a test."""
    p_values = np.asarray(p_values, np.float64)
    found, known = np.full(p_values.shape, np.nan), ~np.isnan(p_values)
    if known.any():
        found[known] = false_discovery_control(p_values[known])
    return found


def relative_gain(ours: float, best: float, random: float = 0.0) -> float:
    """Relative improvement, corrected for a random classifier: (ours - random) / (best - random) - 1. Spec 7.1.

    NaN where the other one is no better than chance.
    """
    return (ours - random) / (best - random) - 1 if best > random else float("nan")
