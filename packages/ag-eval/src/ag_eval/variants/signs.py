"""Is the direction right, and for how many variants can one be sure? Source: spec/scoring.md 7.4."""

import dataclasses

import numpy as np
from jaxtyping import Float

from ag_eval.metrics import paired

Cases = Float[np.ndarray, " case"]


@dataclasses.dataclass(frozen=True)
class SignCurve:
    """By falling size of the score: how many cases are called, and how many of these have the right sign."""

    threshold: Cases
    recall: Cases
    accuracy: Cases

    def recall_at(self, accuracy: float) -> tuple[float, float]:
        """The largest share of cases that is called with at least this accuracy, and the threshold of |score|.

        0 and NaN when there is none.
        """
        good = np.flatnonzero(self.accuracy >= accuracy)
        if not len(good):
            return 0.0, float("nan")
        return float(self.recall[good[-1]]), float(self.threshold[good[-1]])


def sign_curve(effects: Cases, scores: Cases) -> SignCurve:
    """Cases without an effect's sign, or NaN in either, take no part; a score of 0 is wrong by half."""
    kept, _ = paired(effects, scores)
    kept &= effects != 0
    effects, scores = effects[kept], scores[kept]
    size = np.abs(scores)
    order = np.argsort(-size, kind="stable")
    right = np.where(scores == 0, 0.5, np.sign(scores) == np.sign(effects))[order]
    count = np.arange(1, len(order) + 1)
    accuracy = np.cumsum(right) / count
    # Cases of one size are called together.
    ends = np.append(np.flatnonzero(np.diff(size[order])), len(order) - 1) if len(order) else np.array([], int)
    return SignCurve(size[order][ends], count[ends] / max(len(order), 1), accuracy[ends])
