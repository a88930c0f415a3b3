"""From counts of junctions to how often each is chosen. Source: spec/scoring.md 7.3, rows 3-6."""

import numpy as np
from jaxtyping import Bool, Float

Counts = Float[np.ndarray, "donor acceptor track"]


def psi5(counts: Counts, least: float = 1.0) -> Counts:
    """Of a donor's reads the share of each acceptor; NaN for donors of fewer than `least` reads."""
    return _share(counts, axis=1, least=least)


def psi3(counts: Counts, least: float = 1.0) -> Counts:
    """Of an acceptor's reads the share of each donor; NaN for acceptors of fewer than `least` reads."""
    return _share(counts, axis=0, least=least)


def _share(counts: Counts, axis: int, least: float) -> Counts:
    total = np.nansum(counts, axis=axis, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan, dtype=np.float64), where=total >= least)


def observed_pairs(counts: Counts, used: float = 0.0) -> tuple[Bool[np.ndarray, "pair track"], np.ndarray]:
    """For junction classification: labels of all pairs of sites that some junction of the track uses.

    Returns labels and which pairs take part in each track, both [donor x acceptor, track].
    """
    seen = counts > used
    donors, acceptors = seen.any(axis=1, keepdims=True), seen.any(axis=0, keepdims=True)
    flat = (-1, counts.shape[2])
    return seen.reshape(flat), np.broadcast_to(donors & acceptors, counts.shape).reshape(flat)
