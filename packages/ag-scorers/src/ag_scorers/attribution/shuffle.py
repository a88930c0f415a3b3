"""Sequences with the same dinucleotides in another order: random Euler paths (Altschul and Erickson, 1985)."""

import numpy as np
from ag_core.sequence import UNKNOWN
from jaxtyping import UInt8

Codes = UInt8[np.ndarray, " position"]


def shuffle_dinucleotides(codes: Codes, generator: np.random.Generator) -> Codes:
    """A random sequence with exactly the dinucleotides of `codes`, uniform among all that begin and end alike.

    Unknown bases stay where they are; each stretch between them is shuffled for itself.
    """
    shuffled = codes.copy()
    known = np.concatenate([[False], codes != UNKNOWN, [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        shuffled[start:end] = _shuffle(codes[start:end], generator)
    return shuffled


def _shuffle(codes: Codes, generator: np.random.Generator) -> Codes:
    """Of known bases only."""
    if len(codes) < 4:
        return codes
    last = int(codes[-1])
    # What follows each base, in random order.
    following = [codes[1:][codes[:-1] == base] for base in range(UNKNOWN)]
    ends = _last_edges(following, last, generator)
    queues = []
    for base, after in enumerate(following):
        order = generator.permutation(after)
        if base != last and len(after):
            # The last step out of a base goes along the tree, so that no step is left over.
            at = int(np.flatnonzero(order == ends[base])[0])
            order[at], order[-1] = order[-1], order[at]
        queues.append(order.tolist()[::-1])
    path = [int(codes[0])]
    for _ in range(len(codes) - 1):
        path.append(queues[path[-1]].pop())
    return np.array(path, np.uint8)


def _last_edges(following: list[Codes], root: int, generator: np.random.Generator) -> dict[int, int]:
    """For each base the next one on a random tree that leads to `root`, by loop-erased random walks (Wilson, 1996)."""
    tree: dict[int, int] = {}
    inside = {root}
    for base, after in enumerate(following):
        if not len(after):
            continue
        step: dict[int, int] = {}
        at = base
        while at not in inside:
            step[at] = int(generator.choice(following[at]))
            at = step[at]
        at = base
        while at not in inside:
            tree[at] = step[at]
            inside.add(at)
            at = step[at]
    return tree
