"""Scores of mutations as arrays by place: one child for each scorer, `effect (position, base, item, track)`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_data.altered import Place
from jaxtyping import Float

from ag_scorers.dataset import as_text, check_tracks, describe, item_columns, track_columns
from ag_scorers.mutagenesis.contributions import contribution
from ag_scorers.mutagenesis.mutations import BASES, Kind, Mutation
from ag_scorers.results import Result, ScorerResult


def to_effects(
    results: Iterable[Result],
    mutations: Sequence[Mutation],
    kind: Kind,
    sequence: str,
    places: Sequence[Place],
    attrs: Mapping[str, Any],
) -> xr.DataTree:
    """Gathers results, one for each of `mutations`, over a span whose bases are `sequence`, at `places` in REF.

    Each child has `effect`, float32, NaN where nothing is known (a call that failed, a scorer that has no such item,
    a track on the other strand), over
    - substitutions: (position, base, item, track), 0 for the base that is there; and `contribution` without `base`;
    - deletions: (position, item, track), a stretch at its first base;
    - shuffles: (position, repeat, item, track).
    Scorers without items have no such axis. Coordinates on position: `position` (0-based, REF), `inserted` (1, 2, ...
    for bases that REF lacks, else 0), `reference` (the base there). Raises ValueError for different tracks in
    different results.
    """
    columns = {Kind.SUBSTITUTION: len(BASES), Kind.DELETION: 1, Kind.SHUFFLE: 1 + max(m.column for m in mutations)}
    found: dict[str, list[tuple[Mutation, ScorerResult]]] = {}
    for mutation, result in zip(mutations, results, strict=True):
        for scores in result.scores:
            found.setdefault(scores.key, []).append((mutation, scores))
    along = {
        "position": ("position", np.array([place.position for place in places])),
        "inserted": ("position", np.array([place.inserted for place in places])),
        "reference": ("position", as_text(list(sequence))),
    }
    children = {}
    for key, parts in found.items():
        shape = len(sequence), columns[kind]
        array, items = _fill(parts, shape)
        if kind is Kind.SUBSTITUTION:
            for row, base in enumerate(sequence):
                if base in BASES:
                    array[row, BASES.index(base)] = 0
        first = parts[0][1]
        dims = ["position", {Kind.SUBSTITUTION: "base", Kind.SHUFFLE: "repeat"}.get(kind, "size"), "item", "track"]
        coords = {**along, **{name: ("track", column) for name, column in track_columns(first, items).items()}}
        coords |= {name: ("item", column) for name, column in items.items()}
        if kind is Kind.SUBSTITUTION:
            coords["base"] = ("base", as_text(list(BASES)))
        effect = xr.DataArray(array, dims=dims)
        if kind is Kind.DELETION:
            effect = effect.isel(size=0)
        if not items:
            effect = effect.isel(item=0)
        data = xr.Dataset({"effect": effect}, coords, describe(first))
        if kind is Kind.SUBSTITUTION:
            data["contribution"] = contribution(data["effect"])
        children[key] = data
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **children})


def _fill(
    parts: Sequence[tuple[Mutation, ScorerResult]], shape: tuple[int, int]
) -> tuple[Float[np.ndarray, "position column item track"], dict[str, np.ndarray]]:
    """Values by place and item, and the items' columns; an item is the same where its row of the table is."""
    first = parts[0][1]
    tables: dict[tuple[Any, ...], tuple[Mapping[str, np.ndarray], int]] = {}
    rows = []
    for _, scores in parts:
        check_tracks(first, scores)
        names = sorted(scores.table)
        keys = list(zip(*(np.asarray(scores.table[name]).tolist() for name in names), strict=True))
        rows.append(keys or [()] * len(scores.values))
        for item, key in enumerate(keys):
            tables.setdefault(key, ({name: column[item : item + 1] for name, column in scores.table.items()}, 1))
    order = {key: number for number, key in enumerate(tables)} or {(): 0}
    array = np.full((*shape, len(order), first.tracks.sizes["track"]), np.nan, np.float32)
    for (mutation, scores), keys in zip(parts, rows, strict=True):
        for key, values in zip(keys, scores.values, strict=True):
            array[mutation.row, mutation.column, order[key]] = values
    return array, item_columns(list(tables.values())) if tables else {}
