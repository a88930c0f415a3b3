"""Expression of genes: across genes, and what is specific to a track. Source: spec/scoring.md 7.1, 7.3 (9-11)."""

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from ag_eval.metrics import paired, pearson

Expression = Float[np.ndarray, "gene track"]


def mean_coverage(signal: Float[np.ndarray, "position track"], exons: list[tuple[int, int]]) -> np.ndarray:
    """Mean over the bases of exons (0-based, half-open, overlaps once); raises ValueError without any base."""
    inside = np.zeros(len(signal), bool)
    for start, end in exons:
        inside[max(start, 0) : max(end, 0)] = True
    if not inside.any():
        raise ValueError(f"no base of {exons[:3]} lies within {len(signal)} positions")
    return signal[inside].mean(axis=0)


def quantile_normalised(values: Expression) -> Expression:
    """Every track with the same distribution, the mean of all; ties share."""
    values = np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise ValueError("expression has NaN; leave such genes or tracks out first")
    common = np.sort(values, axis=0).mean(axis=1)
    ranks = rankdata(values, axis=0) - 1
    return np.interp(ranks, np.arange(len(common)), common)


def specific(values: Expression) -> Expression:
    """Quantile-normalised, with each gene's mean over tracks taken away."""
    normal = quantile_normalised(values)
    return normal - normal.mean(axis=1, keepdims=True)


def across_genes(truth: Expression, guess: Expression) -> Float[np.ndarray, " track"]:
    """Pearson's r of each track over genes."""
    return np.array([_known(one, two) for one, two in zip(truth.T, guess.T, strict=True)])


def across_tracks(truth: Expression, guess: Expression) -> Float[np.ndarray, " gene"]:
    """Pearson's r of each gene over tracks."""
    return across_genes(truth.T, guess.T)


def _known(one: np.ndarray, two: np.ndarray) -> float:
    kept, _ = paired(one, two)
    return pearson(one[kept], two[kept])
