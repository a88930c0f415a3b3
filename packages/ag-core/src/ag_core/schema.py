"""Names of variables, dimensions and coordinates, and checks that say what is wrong. Plain xarray, no wrappers.

A track table is a Dataset with the index coordinate `track` (0..n-1) and, along it, at least the string variables
`name` and `strand` ('+', '-' or '.'). Rows called "padding" hold a slot that no experiment fills. Everything else
(biosample_name, ontology_curie, nonzero_mean, ...) is free metadata that travels with predictions and scores.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

STRANDS = ("+", "-", ".")
PADDING = "padding"


def track_table(columns: Mapping[str, Iterable[Any]]) -> xr.Dataset:
    """Builds and checks a track table from columns of equal length."""
    arrays = {}
    for key, values in columns.items():
        array = np.asarray(list(values))
        arrays[key] = ("track", array.astype(object) if array.dtype.kind in "US" else array)
    lengths = {key: len(array) for key, (_, array) in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"track columns differ in length: {lengths}")
    size = next(iter(lengths.values()), 0)
    return check_tracks(xr.Dataset(arrays, coords={"track": np.arange(size)}))


def check_tracks(tracks: xr.Dataset) -> xr.Dataset:
    """Returns `tracks`; raises ValueError that names the first thing wrong with it."""
    for key in ("name", "strand"):
        if key not in tracks:
            raise ValueError(
                f"a track table needs the variable {key!r} along 'track'; it has {sorted(map(str, tracks))}"
            )
    wrong = set(tracks["strand"].values) - set(STRANDS)
    if wrong:
        raise ValueError(f"track strands must be one of {STRANDS}, got {sorted(map(str, wrong))}")
    real = ~is_padding(tracks)
    keys = list(zip(tracks["name"].values[real], tracks["strand"].values[real], strict=True))
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(
            f"track {twice[0]!r} on strand {twice[1]!r} occurs more than once; (name, strand) must be unique"
        )
    return tracks


def is_padding(tracks: xr.Dataset) -> np.ndarray:
    """Boolean array: which slots hold no experiment."""
    return np.array([str(name).lower() == PADDING for name in tracks["name"].values], bool)


def strand_partners(tracks: xr.Dataset) -> np.ndarray:
    """Index of each slot's partner on the other strand: the k-th '+' and the k-th '-' swap, others stay.

    Source: spec/model.md 6.1. Raises ValueError when the strands do not pair up.
    """
    strand = tracks["strand"].values
    plus, minus = (np.flatnonzero(strand == sign) for sign in "+-")
    if len(plus) != len(minus):
        raise ValueError(f"{len(plus)} tracks on '+' but {len(minus)} on '-': they must pair up")
    partners = np.arange(len(strand))
    partners[plus], partners[minus] = minus, plus
    return partners
