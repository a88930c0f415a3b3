"""How many contacts two places at a given distance have on average: what a contact map is divided by."""

import numpy as np
from jaxtyping import Float, Int


def expected_by_distance(
    sums: Float[np.ndarray, " offset"],
    pairs: Float[np.ndarray, " offset"],
    contacts: Float[np.ndarray, " offset"],
    fewest: float,
) -> Float[np.ndarray, " offset"]:
    """The mean of each diagonal, the main one first: sum of its values over its number of valid pairs.

    Where a diagonal holds fewer than `fewest` contacts, it is pooled with those after it until they do. Within a pool
    the mean falls off as a power of the distance, on a straight line (in logarithms) between the means of the
    neighbouring pools, and the pool keeps its sum.

    NaN for diagonals before the first that holds a contact, which the maker of the map has left out, and everywhere for
    a map without contacts.
    """
    expected = np.full(len(sums), np.nan)
    if not contacts.any():
        return expected
    empty = int(np.argmax(contacts > 0))
    sums, pairs, contacts = sums[empty:], pairs[empty:], contacts[empty:]
    first = _pools(pairs, contacts, fewest)
    pool_sums, pool_pairs = np.add.reduceat(sums, first), np.add.reduceat(pairs, first)
    kept = (pool_sums > 0) & (pool_pairs > 0)
    if not kept.any():
        return expected
    # Distances in bins; a bin with itself counts as half a bin.
    distance = np.log(np.maximum(np.arange(empty, len(expected)), 0.5))
    weights = np.maximum(pairs, 1e-9)
    centre = np.add.reduceat(distance * weights, first) / np.add.reduceat(weights, first)
    rate = np.log(pool_sums[kept] / pool_pairs[kept])
    curve = np.exp(np.interp(distance, centre[kept], rate))
    scale = np.ones(len(first))
    scale[kept] = pool_sums[kept] / np.add.reduceat(curve * pairs, first)[kept]
    expected[empty:] = curve * np.repeat(scale, np.diff(np.append(first, len(sums))))
    return expected


def _pools(
    pairs: Float[np.ndarray, " offset"], contacts: Float[np.ndarray, " offset"], fewest: float
) -> Int[np.ndarray, " pool"]:
    """Index of the first diagonal of each pool; what is too little at the end joins the last pool."""
    first, held, seen = [0], 0.0, 0.0
    for offset in range(len(contacts)):
        if held > 0 and held >= fewest and seen > 0:
            first.append(offset)
            held = seen = 0.0
        held += contacts[offset]
        seen += pairs[offset]
    if len(first) > 1 and (held == 0 or held < fewest or seen <= 0):
        first.pop()
    return np.array(first)
