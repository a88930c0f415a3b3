"""Metrics of ranking and correlation, with bootstrap confidence intervals.

Every metric takes `weights`, how often each case counts: whole weights give what repeating the cases would give.
That is how `bootstrap` resamples without copying. Cases where either value is NaN are left out by `paired`; the
metrics themselves refuse NaN, so that nothing is dropped unnoticed. What is undefined (one class only, no
variation) is NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy import stats

Cases = Shaped[np.ndarray, " case"]
Weights = Shaped[np.ndarray, " case"] | None
Metric = Callable[..., float]


class Estimate(NamedTuple):
    """A metric with the limits of its confidence interval."""

    value: float
    low: float
    high: float


def paired(*arrays: Cases) -> tuple[Bool[np.ndarray, " case"], int]:
    """Which cases have no NaN in any of the arrays, and how many were left out."""
    kept = np.ones(len(arrays[0]), bool)
    for array in arrays:
        kept &= ~np.isnan(array)
    return kept, int((~kept).sum())


def auroc(labels: Cases, scores: Cases, weights: Weights = None) -> float:
    """Area under the ROC curve: how often a positive scores above a negative; ties count half.

    `labels` are true or false; a higher score means positive. NaN with one class only.
    """
    labels, scores, weights = _checked(labels, scores, weights)
    positive, ends = _by_score(labels, scores, weights)
    true, all_ = (np.cumsum(x)[ends] for x in positive)
    false = all_ - true
    if true[-1] == 0 or false[-1] == 0:
        return float("nan")
    steps = np.diff(false, prepend=0.0)
    middle = true - np.diff(true, prepend=0.0) / 2
    return float(np.sum(steps * middle) / (true[-1] * false[-1]))


def auprc(labels: Cases, scores: Cases, weights: Weights = None) -> float:
    """Average precision: the sum of precision x gain in recall over the distinct scores, from the highest.

    Its baseline, that of random scores, is the share of positives. NaN without positives.
    """
    labels, scores, weights = _checked(labels, scores, weights)
    positive, ends = _by_score(labels, scores, weights)
    true, all_ = (np.cumsum(x)[ends] for x in positive)
    if true[-1] == 0:
        return float("nan")
    # Under bootstrap weights the first scores may not count at all.
    precision = np.divide(true, all_, out=np.zeros_like(true), where=all_ > 0)
    return float(np.sum(np.diff(true, prepend=0.0) * precision) / true[-1])


def top_k(labels: Cases, scores: Cases, weights: Weights = None) -> float:
    """Share of positives among the k best-scored cases, with k the number of positives. NaN without positives.

    Of cases with the same score at the border each counts in part, as if their order were drawn.
    """
    labels, scores, weights = _checked(labels, scores, weights)
    positive, ends = _by_score(labels, scores, weights)
    true, all_ = (np.cumsum(x)[ends] for x in positive)
    if true[-1] == 0:
        return float("nan")
    return float(np.interp(true[-1], np.append(0, all_), np.append(0, true)) / true[-1])


def pearson(x: Cases, y: Cases, weights: Weights = None) -> float:
    """Pearson's correlation, in float64. NaN where either does not vary, or with fewer than two cases."""
    x, y, weights = _checked(x, y, weights)
    total = weights.sum()
    if np.count_nonzero(weights) < 2:
        return float("nan")
    x, y = (v - np.sum(weights * v) / total for v in (x, y))
    power = np.sum(weights * x * x) * np.sum(weights * y * y)
    # Rounding leaves a residue where all values are equal.
    if power == 0 or np.ptp(x[weights > 0]) == 0 or np.ptp(y[weights > 0]) == 0:
        return float("nan")
    return float(np.clip(np.sum(weights * x * y) / np.sqrt(power), -1, 1))


def spearman(x: Cases, y: Cases, weights: Weights = None) -> float:
    """Spearman's correlation: Pearson's of the ranks, ties sharing their mean rank. NaN as for `pearson`."""
    x, y, weights = _checked(x, y, weights)
    return pearson(_ranks(x, weights), _ranks(y, weights), weights)


def bootstrap(
    metric: Metric,
    x: Cases,
    y: Cases,
    *,
    blocks: Int[np.ndarray, " case"] | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """`metric(x, y)` with its percentile interval at `level`, see `limits`.

    Cases that depend on each other (bins of one window, alleles of one position) share a number in `blocks` and
    are drawn together; by default each is drawn by itself. Draws without a defined value do not count; with none
    left, or `repeats` = 0, the limits are NaN.
    """
    value = metric(x, y)
    numbers = np.arange(len(x)) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    draws = np.full(repeats if count else 0, np.nan)
    for i in range(len(draws)):
        often = np.bincount(random.integers(0, count, count), minlength=count)
        draws[i] = metric(x, y, often[numbers])
    return Estimate(value, *limits(draws, level, count))


def bootstrap_median(values: Cases, *, repeats: int = 1000, level: float = 0.95, seed: int = 0) -> Estimate:
    """The median of what is not NaN, with the percentile interval over resampled values."""
    values = np.asarray(values, np.float64)[~np.isnan(values)]
    if not len(values):
        return Estimate(*[float("nan")] * 3)
    drawn = np.random.default_rng(seed).integers(0, len(values), (repeats, len(values)))
    return Estimate(float(np.median(values)), *limits(np.median(values[drawn], axis=1), level, len(values)))


def limits(draws: Float[np.ndarray, " draw"], level: float, cases: int | None = None) -> tuple[float, float]:
    """Percentile limits of the draws that are not NaN.

    Draws of few cases (or blocks) vary too little. With their number the limits lie as much farther out as Student's
    lie from the normal ones ("expanded percentiles", Hesterberg 2015, The American Statistician 69:371).
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    if cases is not None and cases > 1:
        tail = float(stats.norm.cdf(stats.t.ppf(tail, cases - 1) * np.sqrt(cases / (cases - 1))))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _checked(x: Cases, y: Cases, weights: Weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, np.float64) for values in (x, y))
    weights = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    if not x.shape == y.shape == weights.shape or x.ndim != 1:
        raise ValueError(f"shapes {x.shape}, {y.shape} and weights {weights.shape}; expected one length for all")
    if unknown := int(np.isnan(x).sum() + np.isnan(y).sum()):
        raise ValueError(f"{unknown} NaN among {len(x)} cases; leave them out with `paired`, and say how many")
    return x, y, weights


def _by_score(labels, scores, weights) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Weights of positives and of all, from the highest score, and the last place of each distinct score."""
    order = np.argsort(-scores, kind="stable")  # quick where the scores are sorted already
    scores, weights = scores[order], weights[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1) if len(scores) else np.array([], int)
    if not len(ends):
        return (np.zeros(1), np.zeros(1)), np.array([0])
    return (weights * (labels[order] > 0), weights), ends


def _ranks(values: Cases, weights: Weights) -> Float[np.ndarray, " case"]:
    """Mean rank of each value, where a case of weight w takes w ranks."""
    _, place = np.unique(values, return_inverse=True)
    each = np.bincount(place, weights)
    return (np.cumsum(each) - (each - 1) / 2)[place]
