"""Random numbers that depend on a seed, a purpose and an index alone.

So they are the same after a restart, on any host and in any thread, and no draw changes another.
"""

import enum
import functools
from collections.abc import Sequence

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Int

# Draws in which every weight gets its exact share, rounded to 1/1,000.
BLOCK = 1000


class Purpose(enum.IntEnum):
    """What a number is drawn for. The values are part of what makes a run repeatable: never renumber them."""

    ORDER = 0
    PLACE = 1
    TURN = 2
    AUGMENT = 3
    MUTATE = 4
    PART = 5


def generator(seed: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """A fresh Philox generator for one draw."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(purpose, *index))))


def part_seed(seed: int, part: int) -> int:
    """The seed of one of several parts that must not draw alike."""
    return int(np.random.SeedSequence(seed, spawn_key=(Purpose.PART, part)).generate_state(1, np.uint64)[0])


class Turns:
    """Whose turn it is among parts with weights: in each block of 1,000 draws every part has its exact share.

    The order within a block is drawn. A weight below 1/1,000 of the sum counts as that. Raises InputError for
    weights that are not positive.
    """

    def __init__(self, weights: Sequence[float]):
        shares = np.asarray(weights, np.float64)
        if not shares.size or not (np.isfinite(shares) & (shares > 0)).all():
            raise InputError(f"weights {list(weights)}: expected positive numbers, at least one")
        if shares.size > BLOCK:
            raise InputError(f"{shares.size} parts to mix; expected at most {BLOCK}, join some of them")
        exact = shares / shares.sum() * BLOCK
        quotas = np.maximum(np.floor(exact).astype(int), 1)
        while quotas.sum() > BLOCK:  # small weights were rounded up: the largest share pays
            quotas[np.argmax(quotas - exact + (quotas > 1) * BLOCK)] -= 1
        for part in np.argsort(quotas - exact, kind="stable")[: BLOCK - quotas.sum()]:
            quotas[part] += 1
        self.quotas = tuple(int(quota) for quota in quotas)

    def at(self, seed: int, index: int) -> tuple[int, int]:
        """The part whose turn draw `index` is, and how many turns that part had before."""
        if len(self.quotas) == 1:
            return 0, index
        block, place = divmod(index, BLOCK)
        parts, ranks = _block(self.quotas, seed, block)
        part = int(parts[place])
        return part, block * self.quotas[part] + int(ranks[place])


@functools.lru_cache(maxsize=64)
def _block(quotas: tuple[int, ...], seed: int, block: int) -> tuple[Int[np.ndarray, " draw"], Int[np.ndarray, " draw"]]:
    """The part of each draw of a block, and how many of the same part come before it in the block."""
    parts = generator(seed, Purpose.TURN, block).permutation(np.repeat(np.arange(len(quotas)), quotas))
    ranks = np.empty(len(parts), int)
    for part, quota in enumerate(quotas):
        ranks[parts == part] = np.arange(quota)
    return parts, ranks


@functools.lru_cache(maxsize=16)
def shuffled(seed: int, epoch: int, size: int) -> Int[np.ndarray, " place"]:
    """The order of an epoch."""
    return generator(seed, Purpose.ORDER, epoch).permutation(size)
