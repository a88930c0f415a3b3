"""From effects of substitutions to what each base contributes. Source: spec/scoring.md 3.2."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from jaxtyping import Float

from ag_scorers.mutagenesis.mutations import BASES


def ism_matrix(
    scores: Sequence[float],
    variants: Sequence[Variant],
    interval: Interval | None = None,
    multiply_by_sequence: bool = True,
    vocabulary: str = BASES,
    require_fully_filled: bool = True,
) -> Float[np.ndarray, "position base"]:
    """Scores of SNVs as a matrix over `interval` (by default the hull of the variants), centred, as the SDK has it.

    Of every row the mean of the alternatives is taken away; the base that is there, which had 0, gets minus that mean:
    its contribution. With `multiply_by_sequence` only that column is kept. Other variants than SNVs, and those outside,
    are ignored. Raises ValueError for as many scores as variants there are not, for no SNV at all, for a base with
    all four columns filled and, if `require_fully_filled`, for one that has not three.
    """
    if len(scores) != len(variants):
        raise ValueError(f"{len(scores)} scores of {len(variants)} variants; expected one for each")
    single = [(score, variant) for score, variant in zip(scores, variants, strict=True) if variant.is_snv]
    if not single:
        raise ValueError("there is no SNV among the variants; expected the substitutions of a span")
    if interval is None:
        starts = [variant.start for _, variant in single]
        interval = Interval(single[0][1].chromosome, min(starts), max(starts) + 1)
    matrix = np.zeros((interval.width, len(vocabulary)), np.float32)
    filled = np.zeros(matrix.shape, bool)
    for score, variant in single:
        row = variant.start - interval.start
        if variant.chromosome == interval.chromosome and 0 <= row < interval.width:
            column = vocabulary.index(variant.alternate_bases)
            matrix[row, column], filled[row, column] = score, True
    counts = filled.sum(axis=1)
    alternatives = len(vocabulary) - 1
    wrong = counts > alternatives if not require_fully_filled else counts != alternatives
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{interval.chromosome}:{interval.start + row + 1} has scores of {counts[row]} substitutions; expected "
            f"{alternatives} of them: score all of the span, or give the interval that was"
        )
    matrix -= matrix.sum(axis=1, keepdims=True) / alternatives
    if multiply_by_sequence:
        matrix[filled] = 0
    return matrix


def centred(effect: xr.DataArray) -> xr.DataArray:
    """Effects (..., base) less the mean of the three alternatives; NaN where any of these is missing.

    The base that is there (effect 0) gets minus the mean.
    """
    return effect - effect.sum("base", skipna=False) / (effect.sizes["base"] - 1)


def contribution(effect: xr.DataArray) -> xr.DataArray:
    """What each base contributes: minus the mean effect of the three others in its place, without the axis `base`."""
    return -effect.sum("base", skipna=False) / (effect.sizes["base"] - 1)


def as_letters(effects: xr.Dataset) -> Float[np.ndarray, "position base"]:
    """Contributions of one track in the columns of the bases that are there, as logos are drawn; 0 elsewhere.

    `effects` is a child of `mutagenise` with one track (and item) chosen.
    """
    letters = np.array([list(BASES)]) == effects["reference"].values.astype(object)[:, None]
    return np.where(letters, np.nan_to_num(effects["contribution"].values)[:, None], 0).astype(np.float32)
