"""Scores of intervals, without a variant."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint
from ag_core.config import check_length
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractIntervalScorer
from ag_core.model import Model, fold
from ag_core.plugins import registry
from ag_core.sequence import encode, one_hot
from ag_data.fasta import Fasta
from jaxtyping import Array, Int, PyTree, UInt8

from ag_scorers.recommended import RECOMMENDED_INTERVAL
from ag_scorers.results import ScorerResult
from ag_scorers.selection import choose_tracks


@eqx.filter_jit
def _score(
    model: Model,
    codes: UInt8[Array | np.ndarray, " position"],
    organism: int,
    selections: Mapping[str, Int[Array | np.ndarray, " _"]],
    scorers: tuple[AbstractIntervalScorer, ...],
    masks: PyTree[Array],
) -> list[Array]:
    names = {scorer.modality for scorer in scorers}
    predictions = model(one_hot(codes)[None], jnp.full(1, organism, jnp.int32), modalities=sorted(names))
    outputs = {}
    for name in names:
        output = model.heads[name].output(jax.tree.map(lambda x: x[0], predictions[name]))
        outputs[name] = output[:, selections[name]].astype(jnp.float32)
    return [scorer.score(outputs[scorer.modality], mask) for scorer, mask in zip(scorers, masks, strict=True)]


def score_interval(
    checkpoint: Checkpoint,
    fasta: Fasta,
    interval: Interval,
    scorers: Mapping[str, AbstractIntervalScorer] | None = None,
    *,
    resources: Mapping[str, Any],
    organism: str | None = None,
    tracks: str = "",
) -> tuple[ScorerResult, ...]:
    """Scores one interval (not on '-', a multiple of 2,048 bp) by each scorer, the recommended ones by default.

    `resources` are what scorers ask for by name ("genes": an `ag_data.Annotation`); `tracks` is a query over track
    metadata. Raises InputError when these don't go together. Source: spec/scoring.md 3.1.
    """
    if scorers is None:
        scorers = {key: registry().create("scorers", name, **o) for key, (name, o) in RECOMMENDED_INTERVAL.items()}
    try:
        check_length(interval.width)
    except ValueError as error:
        raise InputError(f"interval {interval}: {error}") from error
    number = checkpoint.spec.organism(organism)
    slots, tables = choose_tracks(checkpoint.spec, number, tracks)
    items = []
    for key, scorer in scorers.items():
        missing = [name for name in scorer.requires if name not in resources]
        if missing or scorer.modality not in tables:
            what = f"the resource {', '.join(missing)}" if missing else f"tracks of {scorer.modality}"
            raise InputError(f"scorer {key} needs {what}; give it or leave the scorer out")
        try:
            resolution = min(checkpoint.model.heads[scorer.modality].resolutions)
            items.append(scorer.items(interval, resolution, resources))
        except ValueError as error:
            raise InputError(f"scorer {key}: {error}") from error
    chosen = {scorer.modality: slots[scorer.modality] for scorer in scorers.values()}
    codes, masks = encode(fasta.fetch(interval)), [one.masks for one in items]
    scores = _score(fold(checkpoint.model), codes, number, chosen, tuple(scorers.values()), masks)
    return tuple(
        ScorerResult(key, scorer, np.asarray(values)[: one.count], one.table, tables[scorer.modality])
        for (key, scorer), values, one in zip(scorers.items(), scores, items, strict=True)
    )
