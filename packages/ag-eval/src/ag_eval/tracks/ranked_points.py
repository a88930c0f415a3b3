"""Rankings over millions of positions: what lies between two positives of a window becomes one case with a count."""

from typing import NamedTuple

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Bool, Float, Int, Shaped

from ag_eval.metrics import Metric
from ag_eval.tracks.window_sums import Draws

# Draws of windows for metrics that sort: fewer than for sums.
MOST_DRAWS = 100


class Ranked(NamedTuple):
    """Cases by falling rank (whole numbers in place of scores), with window and how many each stands for."""

    labels: Bool[np.ndarray, " case"]
    ranks: Int[np.ndarray, " case"]
    windows: Int[np.ndarray, " case"]
    counts: Int[np.ndarray, " case"]

    def measure(self, metric: Metric) -> float:
        """A metric that depends on the order of scores only (AUPRC, AUROC, top-k): exactly that of all cases."""
        return metric(self.labels, self.ranks, self.counts)

    def draw(self, metric: Metric, draws: Draws) -> Float[np.ndarray, " draw"] | None:
        """The same in up to `MOST_DRAWS` draws of windows."""
        if not len(draws):
            return None
        return np.array(
            [metric(self.labels, self.ranks, self.counts * often[self.windows]) for often in draws[:MOST_DRAWS]]
        )


def rank_cases(
    labels: Bool[np.ndarray, " case"], scores: Shaped[np.ndarray, " case"], windows: Int[np.ndarray, " case"]
) -> Ranked:
    """Raises InputError for NaN among the scores."""
    if np.isnan(scores).any():
        raise InputError(
            f"{int(np.isnan(scores).sum()):,} of {len(scores):,} predictions are NaN; the model is damaged"
        )
    levels = np.unique(scores[labels])
    place = np.searchsorted(levels, scores)
    tied = np.zeros(len(scores), bool)
    if len(levels):
        tied = levels[np.minimum(place, len(levels) - 1)] == scores
    ranks = 2 * place + tied
    size = 2 * len(levels) + 2
    keys, counts = np.unique((windows * size + ranks) * 2 + labels, return_counts=True)
    ranks = keys // 2 % size
    order = np.argsort(-ranks, kind="stable")  # once here: each draw then sorts what is sorted
    keys = keys[order]
    return Ranked(keys % 2 == 1, ranks[order], keys // 2 // size, counts[order])
