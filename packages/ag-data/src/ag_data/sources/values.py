"""What files of values along the genome (bigWig, bedGraph) share: scale, gaps, bins, names of tracks."""

import math
import pathlib

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float

from ag_data.sources.bins import check_choice, sum_bins

_PACKED = (".gz", ".bgz", ".bz2")


def bin_values(
    values: Float[np.ndarray, " base"], resolution: int, scale: float | str, gaps: str
) -> Float[np.ndarray, "position 1"]:
    """Sums over bins of scaled values; NaN stands for bases without an entry."""
    if gaps == "zero":
        values = np.nan_to_num(values, nan=0.0)
    values = np.abs(values) if scale == "absolute" else values * float(scale) + 0.0  # which makes -0 to 0
    return sum_bins(values[:, None], resolution).astype(np.float32)


def check_scale(scale: object) -> float | str:
    """`scale` if it is a number other than 0, or "absolute". Raises InputError otherwise."""
    if scale == "absolute":
        return "absolute"
    if isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale != 0:
        return float(scale)
    raise InputError(f"scale is {scale!r}; expected a number other than 0, or absolute")


def check_gaps(gaps: object) -> str:
    """`gaps` if it is "zero" or "missing". Raises InputError otherwise."""
    return check_choice("gaps", gaps, ("zero", "missing"))


def track_name(path: pathlib.Path) -> str:
    """The file's name without suffixes that tell its format: a.bedgraph.gz is a, a.fragments.tsv.gz is a too."""
    name = path.name
    for packed in _PACKED:
        name = name.removesuffix(packed)
    stem = pathlib.Path(name).stem or name
    return stem.removesuffix(".fragments") or stem
