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
from ag_core.sequence import encode
from ag_data.fasta import Fasta
from jaxtyping import Array, Int, PyTree, UInt8

from ag_scorers.alleles import predict_alleles
from ag_scorers.parity import Parity, read_parity
from ag_scorers.recommended import RECOMMENDED_INTERVAL, create_scorer
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
    reverse: bool,
) -> list[Array]:
    names = {scorer.modality for scorer in scorers}
    predictions = predict_alleles(model, codes[None, None], organism, sorted(names), reverse=reverse)
    outputs = {}
    for name in names:
        output = model.heads[name].output(jax.tree.map(lambda x: x[0, 0], predictions[name]))
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
    parity: Parity | str | bool = Parity.FIXED,
) -> tuple[ScorerResult, ...]:
    """Scores one interval (a multiple of 2,048 bp) by each scorer, the recommended ones by default.

    On '-' the model sees the reverse complement; predictions are turned back to the forward strand before they are
    scored.

    - `resources`: what scorers ask for by name ("genes": an `ag_data.Annotation`).
    - `tracks`: query over track metadata.
    - `parity`: "upstream" refuses intervals on '-', as the reference does (spec/scoring.md 1.12, item 8), and is that
      of the recommended scorers; given ones have a setting of their own.

    Raises InputError when these don't go together. Source: spec/scoring.md 3.1.
    """
    parity = read_parity(parity)
    if scorers is None:
        scorers = {key: create_scorer(name, o, parity) for key, (name, o) in RECOMMENDED_INTERVAL.items()}
    shown = interval if parity is Parity.UPSTREAM else interval.as_unstranded()
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
            items.append(scorer.items(shown, resolution, resources))
        except ValueError as error:
            raise InputError(f"scorer {key}: {error}") from error
    chosen = {scorer.modality: slots[scorer.modality] for scorer in scorers.values()}
    codes, masks = encode(fasta.fetch(interval)), [one.masks for one in items]
    model, reverse = fold(checkpoint.model), interval.negative_strand
    scores = _score(model, codes, number, chosen, tuple(scorers.values()), masks, reverse)
    return tuple(
        ScorerResult(key, scorer, np.asarray(values)[: one.count], one.table, tables[scorer.modality])
        for (key, scorer), values, one in zip(scorers.items(), scores, items, strict=True)
    )
