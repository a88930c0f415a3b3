"""What a sequence is compared with by integrated gradients.

| name | is |
| --- | --- |
| uniform | 0.25 of every base |
| zeros | no base at all, as N |
| shuffled | sequences with the same dinucleotides in random order; the mean over them is taken |

Where the sequence is not known (N), the baseline is not either, so nothing is attributed there.
"""

import enum

import numpy as np
from ag_core.errors import InputError
from ag_core.sequence import UNKNOWN
from jaxtyping import Float, UInt8

from ag_scorers.attribution.shuffle import shuffle_dinucleotides

SHUFFLES = 8


class Baseline(enum.StrEnum):
    """See the module."""

    UNIFORM = "uniform"
    ZEROS = "zeros"
    SHUFFLED = "shuffled"


def as_one_hot(codes: UInt8[np.ndarray, " position"]) -> Float[np.ndarray, "position 4"]:
    """float32 rows as `ag_core.sequence.one_hot` makes them, on the host."""
    return (codes[:, None] == np.arange(UNKNOWN)).astype(np.float32)


def make_baselines(
    codes: UInt8[np.ndarray, " position"],
    kind: Baseline | str = Baseline.UNIFORM,
    *,
    count: int = SHUFFLES,
    seed: int = 0,
) -> Float[np.ndarray, "baseline position 4"]:
    """The baselines of a sequence; `count` and `seed` are for shuffled ones. Raises InputError."""
    if kind not in list(Baseline):
        raise InputError(f"baseline {kind!r}: expected one of {', '.join(Baseline)}")
    dna = as_one_hot(codes)
    if kind == Baseline.ZEROS:
        return np.zeros_like(dna)[None]
    if kind == Baseline.UNIFORM:
        return np.full_like(dna, 0.25)[None] * dna.any(axis=1, keepdims=True)
    if count < 1:
        raise InputError(f"{count} shuffled baselines; expected at least 1")
    generator = np.random.default_rng(seed)
    return np.stack([as_one_hot(shuffle_dinucleotides(codes, generator)) for _ in range(count)])
