"""Gene scores of '+' and '-' tracks brought together into one column each. Source: spec/scoring.md 3.4."""

import dataclasses

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from jaxtyping import Float, Int

from ag_scorers.results import ScorerResult


def merged_columns(tracks: xr.Dataset) -> tuple[Int[np.ndarray, " merged"], Int[np.ndarray, " merged"]]:
    """Which tracks make the columns for genes on '+', and for all others.

    Tracks without a strand stay, unless a stranded one has the same name. Raises InputError unless the names of '+'
    and '-' tracks are the same, in the same order.
    """
    names, strands = tracks["name"].values, tracks["strand"].values
    plus, minus = (np.flatnonzero(strands == strand) for strand in "+-")
    if names[plus].tolist() != names[minus].tolist():
        raise InputError("tracks on '+' and '-' have other names or another order: they cannot be merged")
    partner = dict(zip(plus.tolist(), minus.tolist(), strict=True))
    stranded = set(names[plus])
    kept = [i for i, strand in enumerate(strands) if strand == "+" or (strand == "." and names[i] not in stranded)]
    return np.array(kept, np.int64), np.array([partner.get(i, i) for i in kept], np.int64)


def merge_strands(scores: ScorerResult) -> ScorerResult:
    """Scores by gene with one column for both strands; others as they are."""
    if "gene_id" not in scores.table or "gene_strand" not in scores.table:
        return scores
    plus, minus = merged_columns(scores.tracks)
    forward = (np.asarray(scores.table["gene_strand"]) == "+")[:, None]

    def choose(values: Float[np.ndarray, "item track"] | None) -> Float[np.ndarray, "item merged"] | None:
        return None if values is None else np.where(forward, values[:, plus], values[:, minus])

    values = choose(scores.values)
    assert values is not None
    return dataclasses.replace(
        scores,
        values=values,
        quantiles=choose(scores.quantiles),
        tails=choose(scores.tails),
        tracks=merged(scores.tracks),
    )


def merged(tracks: xr.Dataset) -> xr.Dataset:
    """The track table of merged scores."""
    chosen = tracks.isel(track=merged_columns(tracks)[0])
    return chosen.assign(strand=("track", np.full(chosen.sizes["track"], ".", object)))
