"""Generalised Pareto tails: a guess, marked as such, at how rare a score beyond all of the background would be.

The scores above a high threshold are fitted by L-moments (Hosking and Wallis 1987), for all tracks at once. A fit
that the scores themselves contradict is not used.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.stats import genpareto

# Scores above the threshold: at most this share of all, and no fewer than so many.
SHARE, FEWEST = 0.05, 30
# Kolmogorov's distance times the root of the number of scores that at most 5 % of true generalised Pareto samples
# exceed, both parameters being fitted (simulated, 50 to 500 scores, shapes -0.5 to 0.4: 0.82 to 0.91).
CRITICAL = 0.9
# A tail is never drawn out by more than so many powers of ten beyond the last score seen.
DECADES = 3.0


@dataclasses.dataclass(frozen=True)
class ParetoTail:
    """Fits of the upper tails of tracks: P(x) = share * (1 + shape * (x - threshold) / scale) ** (-1 / shape).

    `accepted` says which fits stand up; `distance` is Kolmogorov's, between scores and fit.
    """

    threshold: Float[np.ndarray, " track"]
    share: Float[np.ndarray, " track"]
    shape: Float[np.ndarray, " track"]
    scale: Float[np.ndarray, " track"]
    distance: Float[np.ndarray, " track"]
    accepted: Bool[np.ndarray, " track"]

    def probability(
        self, values: Float[np.ndarray, " value"], tracks: Int[np.ndarray, " value"]
    ) -> Float[np.ndarray, " value"]:
        """Probability of a score of `values` or more; NaN where there is no accepted fit."""
        above = np.maximum(values - self.threshold[tracks], 0)
        found = self.share[tracks] * genpareto.sf(above, self.shape[tracks], scale=self.scale[tracks])
        return np.where(self.accepted[tracks], found, np.nan)


def fit_tail(highest: Float32[np.ndarray, "track point"], count: Int[np.ndarray, " track"]) -> ParetoTail:
    """Fits the largest scores of each track, of `count` in all; rows are sorted, the largest score last.

    Of the `highest` those within `SHARE` of all are used; a track that then has fewer than `FEWEST`, or whose scores
    are all the same, gets no fit.
    """
    tracks = len(highest)
    used = np.minimum((count * SHARE).astype(np.int64), highest.shape[1] - 1)
    columns = np.full((6, tracks), np.nan)
    columns[-1] = 0
    for size in np.unique(used[used >= FEWEST]):
        chosen = np.flatnonzero(used == size)
        part = highest[chosen, -size - 1 :].astype(np.float64)
        columns[:, chosen] = _fit(part[:, 1:] - part[:, :1], part[:, 0], size / count[chosen])
    threshold, share, shape, scale, distance, accepted = columns
    return ParetoTail(threshold, share, shape, scale, distance, accepted.astype(bool))


def _fit(
    above: Float[np.ndarray, "track point"], threshold: Float[np.ndarray, " track"], share: Float[np.ndarray, " track"]
) -> Float[np.ndarray, "6 track"]:
    size = above.shape[1]
    mean = above.mean(axis=1)
    second = 2 * (above * (np.arange(size) / (size - 1))).mean(axis=1) - mean
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = mean / second
        shape, scale = 2 - ratio, (ratio - 1) * mean
        fitted = genpareto.cdf(above, shape[:, None], scale=scale[:, None])
    steps = np.arange(size + 1) / size
    distance = np.maximum(np.abs(fitted - steps[:-1]), np.abs(fitted - steps[1:])).max(axis=1)
    accepted = (distance * np.sqrt(size) <= CRITICAL) & (scale > 0) & (shape < 0.5)
    return np.stack([threshold, share, shape, scale, distance, accepted])
