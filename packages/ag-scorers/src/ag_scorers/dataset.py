"""Results as one xarray tree: `score(item, track)` of each scorer, and what became of each allele."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from ag_data.variants import Call

from ag_scorers.results import Result, ScorerResult


def to_datatree(results: Iterable[Result], attrs: Mapping[str, Any] | None = None) -> xr.DataTree:
    """Gathers results of one run; `attrs` (version, model, digest, ...) go to the root.

    - The root has `status(call)` of every allele, in order, with the coordinates `variant` and `detail`.
    - One child for each scorer that scored something, named by its key: `score(item, track)`, float32, NaN where
      it does not apply. On item: `variant`, `call` (position along `call` at the root: a variant may occur twice)
      and the item table, its `gene_id` as `gene`. On track: `name`, `strand` and all metadata. Attrs: `scorer`
      (full name), `modality`, and `signed` as 0 or 1.

    Text is of dtype object. Everything is held in memory: 4 bytes for each item and track. Raises ValueError when
    a scorer's tracks are not the same in all results.
    """
    calls: list[Call] = []
    parts: dict[str, list[tuple[int, ScorerResult]]] = {}
    for number, result in enumerate(results):
        calls.append(result.call)
        for scores in result.scores:
            parts.setdefault(scores.key, []).append((number, scores))
    variants = _text([str(call) for call in calls])
    root = xr.Dataset(
        {"status": ("call", _text([call.status.value for call in calls]))},
        {"variant": ("call", variants), "detail": ("call", _text([call.detail for call in calls]))},
        attrs,
    )
    children = {key: _dataset(key, variants, part) for key, part in parts.items()}
    return xr.DataTree.from_dict({"/": root, **children})


def _dataset(key: str, variants: np.ndarray, parts: list[tuple[int, ScorerResult]]) -> xr.Dataset:
    scorer, tracks = parts[0][1].scorer, parts[0][1].tracks
    if any(part.tracks is not tracks and not part.tracks.equals(tracks) for _, part in parts):
        raise ValueError(f"scorer {key!r} has different tracks in different results; gather each run for itself")
    counts = [len(part.values) for _, part in parts]
    call = np.repeat([number for number, _ in parts], counts)
    names = dict.fromkeys(name for _, part in parts for name in part.table)
    items = {"variant": variants[call], "call": call}
    items |= {"gene" if name == "gene_id" else name: _column(name, parts) for name in names}
    coords = {name: ("item", column) for name, column in items.items()}
    for name, variable in tracks.data_vars.items():
        coords[f"track_{name}" if name in items else str(name)] = ("track", variable.values)
    values = np.concatenate([part.values for _, part in parts]).astype(np.float32)
    return xr.Dataset(
        {"score": (("item", "track"), values)},
        {**coords, "track": tracks["track"].values},
        {"scorer": scorer.name, "modality": scorer.modality, "signed": int(scorer.signed)},
    )


def _column(name: str, parts: list[tuple[int, ScorerResult]]) -> np.ndarray:
    """An item column over all results; None where a result has no such column."""
    missing = [np.full(len(part.values), None) for _, part in parts]
    column = np.concatenate(
        [np.asarray(part.table.get(name, none)) for (_, part), none in zip(parts, missing, strict=True)]
    )
    return column.astype(object) if column.dtype.kind in "US" else column


def _text(values: list[str]) -> np.ndarray:
    return np.array([*values, None], object)[:-1]
