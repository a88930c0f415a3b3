"""One number for each row of a table of variants: from the model's scorers, and from peers."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.plugins import PluginNotFoundError, registry
from ag_data import Fasta, Status
from ag_scorers.engine import Engine
from ag_scorers.results import Result, ScorerResult
from ag_scorers.scoring import choose_scorers, open_resources
from rich.console import Console
from rich.progress import track as show_progress

from ag_eval.variants.settings import Evaluation
from ag_eval.variants.table import VariantTable


def score_calls(
    model: Checkpoint, table: VariantTable, own: Evaluation, fasta: Fasta, data: Mapping[str, Any]
) -> list[Result]:
    """A result for each row, each allele scored once. Raises InputError when the model lacks what is scored."""
    resources = open_resources(data.get("gtf"), data.get("splice_sites"), data.get("polya"))
    resolutions = {name: min(head.resolutions) for name, head in model.model.heads.items()}
    organism = model.spec.organisms[0]
    scorers = choose_scorers(own.score, resolutions, resources, organism)
    engine = Engine(model, fasta, scorers, resources=resources, tracks=own.tracks)
    distinct = {}
    for call in table.calls:
        distinct.setdefault((call.chromosome, call.position, call.reference, call.alternate), call)
    # Neighbours share work.
    order = sorted(distinct.values(), key=lambda call: (call.chromosome, call.position))
    bar = show_progress(engine.run(order), own.name, total=len(order), console=Console(stderr=True), transient=True)
    by_allele = dict(zip(((c.chromosome, c.position, c.reference, c.alternate) for c in order), bar, strict=True))
    return [by_allele[call.chromosome, call.position, call.reference, call.alternate] for call in table.calls]


def score_peers(names: Iterable[str], table: VariantTable, data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Scores of each peer for each row. Raises InputError for an unknown peer, or data that it lacks."""
    variants = [call.variant for call in table.calls if call.status is Status.SCORED]
    places = [row for row, call in enumerate(table.calls) if call.status is Status.SCORED]
    scores = {}
    for name in dict.fromkeys(names):
        try:
            peer = registry().create("peers", name)
        except PluginNotFoundError as error:
            raise InputError(str(error)) from error
        if missing := [need for need in peer.needs if not data.get(need)]:
            raise InputError(f"peer {name} needs {', '.join(missing)}; give --{' and --'.join(missing)}")
        scores[name] = np.full(len(table.calls), np.nan)
        scores[name][places] = peer.score(variants, data)
    return scores


def peer_columns(rows: pd.DataFrame, own: Evaluation) -> dict[str, np.ndarray]:
    """What the table itself says others predict."""
    numbers: Any = {name: pd.to_numeric(rows[f"peer {name}"], errors="coerce") for name in own.data.peers}
    return {name: column.to_numpy(np.float64) for name, column in numbers.items()}


def combine(result: Result, own: Evaluation, gene: str | None) -> float:
    """One number from the scores of tracks, genes and scorers; NaN where there is none."""
    parts = []
    for score in result.scores:
        values = np.asarray(score.values, np.float64)
        if own.genes == "own" and "gene_id" in score.table:
            values = values[_of_gene(score, gene)]
        values = values[~np.isnan(values)]
        if values.size:
            parts.append(values)
    if not parts:
        return float("nan")
    if own.over == "sum_of_max_abs":
        return float(sum(np.abs(part).max() for part in parts))
    together = np.concatenate(parts)
    if own.over == "mean":
        return float(together.mean())
    return float(np.abs(together).max() if own.over == "max_abs" else np.abs(together).mean())


def _of_gene(score: ScorerResult, gene: str | None) -> np.ndarray:
    wanted = str(gene).partition(".")[0]
    ids = (str(each).partition(".")[0] for each in score.table["gene_id"])
    return np.array([each == wanted for each in ids], bool)
