"""Contact maps: correlation of each map, of differences between cell types, and insulation. Spec 7.3, rows 23-24."""

import numpy as np
from jaxtyping import Float

from ag_eval.metrics import paired, pearson

Map = Float[np.ndarray, "bin bin"]


def map_correlation(truth: Map, guess: Map, nearest: int = 1) -> float:
    """Pearson's r over pairs of bins at least `nearest` apart, each pair once; NaN is left out."""
    rows, columns = np.triu_indices(len(truth), nearest)
    one, two = truth[rows, columns], guess[rows, columns]
    kept, _ = paired(one, two)
    return pearson(one[kept], two[kept])


def insulation(contacts: Map, width: int) -> Float[np.ndarray, " bin"]:
    """Mean of what crosses each boundary, between the `width` bins before and from it; NaN near the ends."""
    size = len(contacts)
    found = np.full(size, np.nan)
    for at in range(width, size - width + 1):
        found[at] = np.nanmean(contacts[at - width : at, at : at + width])
    return found


def insulation_correlation(truth: Map, guess: Map, width: int) -> float:
    """Pearson's r of the insulation along a map."""
    one, two = insulation(truth, width), insulation(guess, width)
    kept, _ = paired(one, two)
    return pearson(one[kept], two[kept])
