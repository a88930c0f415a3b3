"""Are cut sites of ATAC-seq where Tn5 bound? The two ends it makes in one place lie 9 bp apart until they are shifted.

Tn5 cuts the two strands 9 bp apart, and the gap is filled: of one event, the fragment to the right starts at base p,
the fragment to the left ends with base p + 8. Reads are shifted by +4 on '+' and by -4 or -5 on '-', to p + 4 and
p + 4 or p + 3. As Tn5 prefers the same sites in all cells, a track of cut sites has pairs at the distance of the two
ends: 0 or 1 bp after the shift, 8 or 9 before it (by the last base, or by the end of the half-open fragment), 10 after
two shifts, 17 or 18 after a shift the wrong way. Its taste for bases makes further pairs at 2, 5 and 10 bp, in any
track; these are never as many as those of the two ends.
"""

import numpy as np
from jaxtyping import Float

from ag_data.doctor.findings import ERROR, Finding
from ag_data.doctor.signals import Sample

MODALITY = "atac"
_FARTHEST = 25  # base pairs
# Distances without pairs of their own tell how many there are by chance.
_CHANCE = (3, 4, 6, 7, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25)
# What distances mean, and by how much each should stand out against those that any track has.
UNSHIFTED, TWICE, BACKWARDS = (8, 9), (10,), (17, 18)
_TASTE = (2, 5, 10)
_MARGIN = {UNSHIFTED: 1.3, TWICE: 1.25, BACKWARDS: 1.3}
# Pairs above chance, as a share and in standard deviations, and standard deviations above those at other distances; no
# base counts for more ends than `_CAP`, so that hot spots do not decide.
_EXCESS, _SIGMA, _SIGMA_OTHERS, _CAP = 0.1, 6.0, 2.5, 4


def pairs(values: Float[np.ndarray, " position"]) -> tuple[Float[np.ndarray, " lag"], Float[np.ndarray, " lag"]]:
    """Pairs of ends at distances 0 to 25 bp, and the variance of that number. Values are counts."""
    counts = np.minimum(np.nan_to_num(values), _CAP)
    # Few bases have any.
    at = np.flatnonzero(counts)
    sparse = counts[at]
    number, variance = np.zeros(_FARTHEST + 1), np.zeros(_FARTHEST + 1)
    for lag in range(1, _FARTHEST + 1):
        inside = at[: np.searchsorted(at, len(counts) - lag)]
        both = sparse[: len(inside)] * counts[inside + lag]
        number[lag], variance[lag] = both.sum(), np.square(both).sum()
    return number, variance


def excess(
    number: Float[np.ndarray, " lag"], variance: Float[np.ndarray, " lag"]
) -> tuple[Float[np.ndarray, " lag"], Float[np.ndarray, " lag"]]:
    """Pairs at each distance above those by chance: as a share of these, and in standard deviations."""
    chance = float(np.median(number[list(_CHANCE)]))
    above = number - chance
    return above / max(chance, 1.0), above / np.sqrt(np.maximum(variance, 1.0))


def check_shift(sample: Sample) -> Finding | None:
    """Cut sites that were not shifted, shifted twice, or the wrong way."""
    unit = sample.levels.unit
    if sample.modality != MODALITY or sample.resolution > 1 or unit is None:
        return None
    number, variance = np.zeros(_FARTHEST + 1), np.zeros(_FARTHEST + 1)
    for _, values in sample.pieces():
        own = pairs(values / unit)
        number, variance = number + own[0], variance + own[1]
    share, sigma = excess(number, variance)
    for lags, margin in _MARGIN.items():
        lag = max(lags, key=lambda lag: share[lag])
        near = {*lags, lag - 1, lag + 1} - set(_TASTE)
        other = max(
            (each for each in range(1, _FARTHEST + 1) if each not in {*near, lag}), key=lambda each: share[each]
        )
        apart = (number[lag] - number[other]) / np.sqrt(max(1.0, variance[lag] + variance[other]))
        if share[lag] < _EXCESS or sigma[lag] < _SIGMA or apart < _SIGMA_OTHERS or share[lag] < margin * share[other]:
            continue
        evidence = (
            f"pairs of cut sites {lag} bp apart are {share[lag]:.0%} more than by chance ({sigma[lag]:.0f} standard "
            f"deviations), more than at any other distance; after the shift they are 0 or 1 bp apart"
        )
        return Finding("Tn5 shift", ERROR, sample.label, evidence, _REMEDIES[lags])
    return None


_REMEDIES = {
    UNSHIFTED: "not shifted (or twice by 4): make the track from the BAM (tn5_shift=[4, -5]) or from fragments with "
    "`options: {shifted: false}`",
    TWICE: "shifted twice: fragments of 10x are shifted already (`options: {shifted: true}`), as are some BAM files",
    BACKWARDS: "shifted the wrong way: it is +4 for reads on '+', -5 on '-'",
}
