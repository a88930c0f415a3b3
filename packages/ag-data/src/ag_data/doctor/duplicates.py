"""Tracks that are one and the same measurement: exact copies, multiples, and almost the same reads."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ag_data.doctor.findings import ERROR, WARNING, Finding
from ag_data.doctor.signals import Signals

# Correlation over bins, of values and of their logarithms, above which two libraries share their reads. Replicates of
# deep data reach 0.99 in bins of this size; one of the two may exceed 0.999 because of a few strong bins or of many
# weak ones, both do not.
_SAME = 0.999
# A multiple: this share of the bins with signal agrees within float16's rounding.
_RATIO, _AGREE = 2e-3, 0.99
# Bins with signal that are needed to tell.
_FEWEST = 100


def check_duplicates(signals: Signals, bins: Sequence[Float[np.ndarray, " bin"] | None]) -> list[Finding]:
    """Every pair of tracks that are the same; `bins` are sums of each track over the same bins, None if unknown."""
    tracks = [track for track, values in enumerate(bins) if values is not None and (values > 0).sum() >= _FEWEST]
    if len(tracks) < 2:
        return []
    values = np.stack([np.asarray(bins[track], np.float32) for track in tracks])
    positive = np.maximum(values, 0)
    logs = np.log1p(positive / positive.mean(axis=1, keepdims=True))
    alike = np.minimum(_correlations(values), _correlations(logs))
    found = []
    for a, b in np.argwhere(np.triu(alike >= _SAME, 1)):
        one, other = tracks[a], tracks[b]
        strands = {signals.strands[one], signals.strands[other]} == {"+", "-"}
        found.append(_describe(signals, one, other, values[a], values[b], float(alike[a, b]), strands))
    return found


def _correlations(rows: Float[np.ndarray, "track bin"]) -> Float[np.ndarray, "track track"]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    return (centred @ centred.T) / np.maximum(np.outer(norms, norms), np.finfo(np.float32).tiny)


def _describe(
    signals: Signals, one: int, other: int, a: np.ndarray, b: np.ndarray, alike: float, strands: bool
) -> Finding:
    ratio = float(b.sum() / a.sum())
    seen = (a > 0) | (b > 0)
    exact = float(np.mean(np.abs(b[seen] - ratio * a[seen]) <= _RATIO * np.maximum(b[seen], ratio * a[seen])))
    subject = f"{signals.labels[one]} and {signals.labels[other]}"
    where = f"in {int(seen.sum()):,} bins with signal"
    if exact < _AGREE:
        evidence = f"they correlate by {alike:.5f} {where}, more than replicates do"
        remedy = "the same library twice, or one made of the other: keep one of them"
        return Finding("duplicates", WARNING, subject, evidence, remedy)
    evidence = "all values are the same" if abs(ratio - 1) < _RATIO else f"the second is {ratio:.4g} times the first"
    remedy = "the same file twice, perhaps under two names: keep one of them"
    if strands:
        remedy = "both strands hold the same data: the library is not stranded, so give one track with strand '.'"
    return Finding("duplicates", ERROR, subject, f"{evidence} {where}", remedy)
