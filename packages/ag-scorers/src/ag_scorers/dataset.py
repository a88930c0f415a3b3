"""Results as one xarray tree: `score(item, track)` of each scorer, and what became of each allele."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_data.variants import Call
from jaxtyping import Float, Shaped

from ag_scorers.results import Result, ScorerResult

# Variable of the tree for each array of a result.
VARIABLES = {"score": "values", "quantile": "quantiles", "tail": "tails", "ref": "ref", "alt": "alt"}


def to_datatree(results: Iterable[Result], attrs: Mapping[str, Any] | None = None) -> xr.DataTree:
    """Gathers results of one run; `attrs` (version, model, digest, ...) go to the root.

    - The root has `status(call)` of every allele, in order, with the coordinates `variant` and `detail`.
    - One child for each scorer that was run, named by its key: `score(item, track)`, float32, NaN where
      it does not apply; `quantile`, `tail`, `ref` and `alt` alike, if the results have them. On item: `variant`, `call`
      (position along `call` at the root: a variant may occur twice) and the item table, its `gene_id` as `gene`; what
      a result has no such column for is empty text or NaN. On track: `name`, `strand` and all metadata. Attrs:
      `scorer` (full name), `modality`, and `signed` as 0 or 1.

    Text is of dtype object. Everything is held in memory: 4 bytes for each item and track. Raises ValueError when
    a scorer's tracks are not the same in all results.
    """
    calls: list[Call] = []
    parts: dict[str, list[tuple[int, ScorerResult]]] = {}
    for number, result in enumerate(results):
        calls.append(result.call)
        for scores in result.scores:
            parts.setdefault(scores.key, []).append((number, scores))
    variants = as_text([str(call) for call in calls])
    root = xr.Dataset(
        {"status": ("call", as_text([call.status.value for call in calls]))},
        {"variant": ("call", variants), "detail": ("call", as_text([call.detail for call in calls]))},
        attrs,
    )
    children = {key: _dataset(variants, part) for key, part in parts.items()}
    return xr.DataTree.from_dict({"/": root, **children})


def _dataset(variants: np.ndarray, parts: list[tuple[int, ScorerResult]]) -> xr.Dataset:
    first = parts[0][1]
    for _, part in parts:
        check_tracks(first, part)
    scores = [part for _, part in parts]
    counts = [len(part.values) for part in scores]
    call = np.repeat([number for number, _ in parts], counts)
    items = {"variant": variants[call], "call": call, **item_columns([(s.table, len(s.values)) for s in scores])}
    arrays = {name: [getattr(part, source) for part in scores] for name, source in VARIABLES.items()}
    return xr.Dataset(
        {
            name: (
                ("item", "track"),
                np.concatenate([fill(array, part) for array, part in zip(found, scores, strict=True)]),
            )
            for name, found in arrays.items()
            if any(array is not None for array in found)
        },
        {
            **{name: ("item", column) for name, column in items.items()},
            **{name: ("track", column) for name, column in track_columns(first, items).items()},
        },
        describe(first),
    )


def check_tracks(first: ScorerResult, other: ScorerResult) -> None:
    """ValueError unless both results have the same tracks."""
    if other.tracks is not first.tracks and not other.tracks.equals(first.tracks):
        raise ValueError(f"scorer {first.key!r} has different tracks in different results; gather each run for itself")


def describe(scores: ScorerResult) -> dict[str, Any]:
    """Attributes of a scorer's child."""
    scorer = scores.scorer
    return {"scorer": scorer.name, "modality": scorer.modality, "signed": int(scorer.signed)}


def fill(array: Float[np.ndarray, "item track"] | None, scores: ScorerResult) -> Float[np.ndarray, "item track"]:
    """float32; NaN where a result has no such numbers."""
    return np.full(scores.values.shape, np.nan, np.float32) if array is None else array.astype(np.float32, copy=False)


def track_columns(scores: ScorerResult, items: Iterable[str]) -> dict[str, Shaped[np.ndarray, " track"]]:
    """Coordinates on track; a name that is one on item already gets `track_` before it."""
    tracks, items = scores.tracks, set(items)
    columns = {plain_name(str(name)): settle(variable.values) for name, variable in tracks.data_vars.items()}
    columns = {f"track_{name}" if name in items else name: column for name, column in columns.items()}
    return {"track": tracks["track"].values, **columns}


def item_columns(
    tables: Sequence[tuple[Mapping[str, np.ndarray], int]],
) -> dict[str, Shaped[np.ndarray, " item"]]:
    """Item tables (with the number of items of each) one after the other, without gaps: see `settle`."""
    names = dict.fromkeys(name for table, _ in tables for name in table)
    columns = {}
    for name in names:
        parts = [np.asarray(table[name]) if name in table else np.full(size, None) for table, size in tables]
        columns["gene" if name == "gene_id" else plain_name(name)] = settle(np.concatenate(parts))
    return columns


def settle(column: Shaped[np.ndarray, " _"]) -> Shaped[np.ndarray, " _"]:
    """Text as object with "" for what is missing, or numbers, with NaN for what is missing."""
    if column.dtype.kind not in "OUST":
        return column
    column = column.astype(object)
    missing = pd.isna(column)
    present = column[~missing].tolist()
    if any(isinstance(value, str) for value in present) or not len(column):
        return as_text(["" if gone else str(value) for value, gone in zip(column, missing, strict=True)])
    if not missing.any():
        return np.array(present)
    numbers = np.full(len(column), np.nan)
    numbers[~missing] = present
    return numbers


def as_text(values: Sequence[str]) -> Shaped[np.ndarray, " _"]:
    """Text as objects."""
    return np.array([*values, None], object)[:-1]


def plain_name(name: str) -> str:
    """A name that a zarr store can have in its list of coordinates."""
    return re.sub(r"[\s/]+", "_", name)
