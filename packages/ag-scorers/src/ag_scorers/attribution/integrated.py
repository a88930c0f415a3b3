"""Integrated gradients whose completeness is measured, and improved where it is worst.

The gradient is averaged along the straight path from a baseline to the sequence; then the contributions sum to the
difference of the target's values at both ends (Sundararajan, Taly and Yan, ICML 2017), up to the error of the
quadrature. Of every piece of the path that difference is known, so each piece tells its own error: pieces that miss it
are halved. The rule is Gauss-Lobatto's with four points: both ends are among them, so neighbours share them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ag_scorers.attribution.forward import Forward
from ag_scorers.attribution.gradients import values_and_gradients

_INNER = 0.5 + 0.5 * np.sqrt(0.2) * np.array([-1.0, 1.0])
_WEIGHTS = np.array([1.0, 5.0, 5.0, 1.0]) / 12
# Pieces that a path is made of at first, and how much it may cost at most.
PIECES, TOLERANCE, MOST_STEPS = 4, 0.01, 200
# What float32 says of a difference may be wrong by so much of either value.
_ROUNDING = 4 * float(np.finfo(np.float32).eps)

Step = tuple[Float[np.ndarray, " target"], Float[np.ndarray, "target position 4"]]
Evaluate = Callable[[Sequence[float]], list[Step]]


class Integrated(NamedTuple):
    """Attributions of one sequence.

    - `contributions` is at the bases of the sequence, `hypothetical` what each base would contribute (see `gradients`).
    - `value`, `baseline`: the target at the sequence, and its mean over baselines.
    - `error`: the sum of contributions minus the difference of the two.
    - `reached`: whether the tolerance was reached; `steps`: gradients computed, over all baselines.
    """

    contributions: Float[np.ndarray, "target position 4"]
    hypothetical: Float[np.ndarray, "target position 4"]
    value: Float[np.ndarray, " target"]
    baseline: Float[np.ndarray, " target"]
    error: Float[np.ndarray, " target"]
    reached: bool
    steps: int


class _Piece(NamedTuple):
    """A piece of a path: its ends (0 is the baseline, 1 the sequence), what is known there, and the integral between.

    `missed`: by how much the integral is too large for the difference between the ends, for each target.
    """

    start: float
    end: float
    first: Step
    last: Step
    gradient: Float[np.ndarray, "target position 4"]
    missed: Float[np.ndarray, " target"]


def integrated_gradients(
    forward: Forward,
    dna: Float[np.ndarray, "position 4"],
    baselines: Float[np.ndarray, "baseline position 4"],
    *,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
    batch_size: int = 1,
) -> Integrated:
    """Attributions of a sequence, the mean over its baselines.

    The path to each is cut finer until contributions sum to the difference of the values at its ends, up to `tolerance`
    of it, or `most_steps` gradients have been computed.
    """
    hypothetical, contributions, lows, value = 0.0, 0.0, [], None
    reached, steps = True, 0
    for baseline in baselines:
        slope = dna - baseline

        def evaluate(places: Sequence[float], baseline=baseline, slope=slope) -> list[Step]:
            dna = baseline + np.asarray(places, np.float32)[:, None, None] * slope
            batches = values_and_gradients(forward, dna, batch_size)
            return [step for values, gradients in batches for step in zip(values, gradients, strict=True)]

        pieces, used, enough = _walk(evaluate, slope, tolerance, most_steps)
        gradient = sum(piece.gradient.astype(np.float64) for piece in pieces)
        own = gradient - np.einsum("tpb,pb->tp", gradient, baseline)[..., None]
        # Where nothing is known, no base would be any better.
        hypothetical = hypothetical + own * dna.any(axis=-1, keepdims=True) / len(baselines)
        contributions = contributions + np.einsum("tpb,pb->tp", gradient, slope)[..., None] * dna / len(baselines)
        lows.append(pieces[0].first[0])
        value, reached, steps = pieces[-1].last[0], reached and enough, steps + used
    low = np.mean(np.asarray(lows, np.float64), axis=0)
    assert value is not None
    error = np.sum(contributions, axis=(1, 2)) - (value - low)
    arrays = [np.asarray(x, np.float32) for x in (contributions, hypothetical, value, low, error)]
    return Integrated(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], reached, steps)


def _measure(start: float, end: float, steps: Sequence[Step], slope: Float[np.ndarray, "position 4"]) -> _Piece:
    """The piece with these four points."""
    gradient = sum((end - start) * weight * step[1] for weight, step in zip(_WEIGHTS, steps, strict=True))
    gradient = np.asarray(gradient, np.float32)
    found = np.einsum("tpb,pb->t", gradient.astype(np.float64), slope)
    missed = found - (steps[-1][0].astype(np.float64) - steps[0][0])
    return _Piece(start, end, steps[0], steps[-1], gradient, missed)


def _walk(
    evaluate: Evaluate, slope: Float[np.ndarray, "position 4"], tolerance: float, most_steps: int
) -> tuple[list[_Piece], int, bool]:
    """The pieces of a path in order, the steps they took, and whether they are good enough."""
    ends = np.linspace(0, 1, PIECES + 1).tolist()
    corners = evaluate(ends)
    open_ = list(zip(ends[:-1], ends[1:], corners[:-1], corners[1:], strict=True))
    pieces: list[_Piece] = []
    used = len(corners)
    low, high = corners[0][0].astype(np.float64), corners[-1][0].astype(np.float64)
    allowed = tolerance * np.abs(high - low) + _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    while True:
        inner = evaluate([start + float(part) * (end - start) for start, end, _, _ in open_ for part in _INNER])
        used += len(inner)
        for number, (start, end, first, last) in enumerate(open_):
            pieces.append(_measure(start, end, [first, *inner[2 * number : 2 * number + 2], last], slope))
        pieces.sort(key=lambda piece: piece.start)
        missed = np.stack([piece.missed for piece in pieces])
        # Errors that cancel each other may do so by chance, so they must be small as they are, too.
        if (np.maximum(np.abs(missed.sum(axis=0)), np.sqrt(np.square(missed).sum(axis=0))) <= allowed).all():
            return pieces, used, True
        missed = np.abs(missed)
        bad = np.flatnonzero((missed > allowed / len(pieces)).any(axis=1))
        # The worst first, as many as there are steps left for: a middle and two times two inner points each.
        bad = bad[np.argsort(-(missed[bad] / np.maximum(allowed, 1e-30)).max(axis=1), kind="stable")]
        halved = set(bad[: max(most_steps - used, 0) // 5].tolist())
        if not halved:
            return pieces, used, False
        split = [piece for number, piece in enumerate(pieces) if number in halved]
        pieces = [piece for number, piece in enumerate(pieces) if number not in halved]
        middles = [(piece.start + piece.end) / 2 for piece in split]
        open_ = []
        for piece, middle, step in zip(split, middles, evaluate(middles), strict=True):
            open_ += [(piece.start, middle, piece.first, step), (middle, piece.end, step, piece.last)]
        used += len(middles)
