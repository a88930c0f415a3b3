"""Where scores lie among break points: counts on either side, quantiles, tails. For all tracks at once.

With L background scores below x and R below or equal, of n:

- quantile: (L + R) / 2n, in [0, 1]; of a signed scorer (L + R) / n - 1, in [-1, 1];
- tail: -log10 of (1 + n - L) / (1 + n), which is at most log10(1 + n): a score beyond all others is one of n + 1.
  Of a signed scorer -log10 of twice the smaller of the two sides' probabilities, at most log10((1 + n) / 2).

L and R are exact where break points are neighbours in rank, as they are in the tails; else they are interpolated.
Source: spec/scoring.md 2.11, with ties at the mid-point.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int


def insertion(
    breaks: Float32[np.ndarray, "track point"],
    values: Float32[np.ndarray, " value"],
    tracks: Int[np.ndarray, " value"],
    right: bool = False,
) -> Int[np.ndarray, " value"]:
    """`numpy.searchsorted` of each value among the break points of its own track. NaN is never larger."""
    points = breaks.shape[1]
    flat, base = breaks.ravel(), tracks.astype(np.int64) * points
    low, size = np.zeros(len(values), np.int64), points
    # Of `size` candidates from `low` on; the same number of steps for all.
    while size > 0:
        half = size // 2
        middle = flat[base + np.minimum(low + half, points - 1)]
        below = middle <= values if right else middle < values
        below &= low + half < points
        low = np.where(below, low + half + 1, low)
        size = half
    return np.minimum(low, points)


def counts(
    breaks: Float32[np.ndarray, "track point"],
    ranks: Int[np.ndarray, "group point"],
    group: Int[np.ndarray, " track"],
    count: Int[np.ndarray, " track"],
    values: Float32[np.ndarray, " value"],
    tracks: Int[np.ndarray, " value"],
) -> tuple[Float[np.ndarray, " value"], Float[np.ndarray, " value"]]:
    """(L, R): how many background scores are below each value, and how many are below or equal.

    `ranks` of the break points are those of a group of tracks with the same number of scores; `group` tells which.
    """
    last = ranks.shape[1] - 1
    n, row = count[tracks].astype(np.float64), group[tracks]
    points = _points(ranks, count, group)[tracks]

    def between(index: Int[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
        """Scores up to a value that lies between break points index - 1 and index, or on one of them."""
        index = np.minimum(index, points)
        lower, upper = np.clip(index - 1, 0, last), np.clip(index, 0, last)
        start, end = breaks[tracks, lower].astype(np.float64), breaks[tracks, upper].astype(np.float64)
        first, then = ranks[row, lower], ranks[row, upper]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.clip((values - start) / (end - start), 0, 1)
        found = first + 1 + np.nan_to_num(share) * (then - first - 1)
        return np.where(index == 0, 0.0, np.where(index >= points, n, found))

    left_index = insertion(breaks, values, tracks)
    left = between(left_index)
    right = left.copy()
    on_point = (left_index < points) & (breaks[tracks, np.clip(left_index, 0, last)] == values)
    if on_point.any():
        tied = np.flatnonzero(on_point)
        right_index = left_index.copy()
        right_index[tied] = insertion(breaks, values[tied], tracks[tied], right=True)
        right = np.where(on_point, between(right_index), left)
    return left, right


def _points(
    ranks: Int[np.ndarray, "group point"], count: Int[np.ndarray, " track"], group: Int[np.ndarray, " track"]
) -> Int[np.ndarray, " track"]:
    """Number of break points of each track; rows of `ranks` are padded with the largest integer."""
    used = np.count_nonzero(ranks < np.iinfo(np.int64).max, axis=1)
    return np.where(count > 0, used[group], 0)


def quantiles(left: Any, right: Any, n: Any, signed: bool) -> Float32[np.ndarray, "..."]:
    """Quantiles from (L, R) of n; NaN where n is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        cdf = (left + right) / (2.0 * n)
    return (2 * cdf - 1 if signed else cdf).astype(np.float32)


def tail_probabilities(left: Any, right: Any, n: Any, signed: bool) -> Float[np.ndarray, "..."]:
    """Share of the background (and the score itself) that is at least as far out."""
    upper = (1.0 + n - left) / (1.0 + n)
    if not signed:
        return upper
    return np.minimum(1.0, 2.0 * np.minimum(upper, (1.0 + right) / (1.0 + n)))


def reference_quantiles(
    breaks: Float32[np.ndarray, "track point"],
    probabilities: Float[np.ndarray, " point"],
    values: Float[np.ndarray, "item track"],
) -> Float32[np.ndarray, "item track"]:
    """Lookup as the reference does it, in a table of its form: p[min(i, Q - 1)], i the left insertion point.

    `breaks` are sorted in each row; `probabilities` are shared, and already those of a signed score where it is one.
    NaN stays NaN. A value that equals several break points gets the first of them (the reference draws one at random).
    Source: spec/scoring.md 2.11.
    """
    items = values.shape[0]
    tracks = np.tile(np.arange(len(breaks)), items)
    index = insertion(breaks, values.astype(np.float32).ravel(), tracks)
    found = probabilities[np.minimum(index, len(probabilities) - 1)].reshape(values.shape)
    return np.where(np.isnan(values), np.nan, found).astype(np.float32)
