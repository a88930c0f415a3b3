"""Runs an evaluation of variant effects that a YAML file describes: scores by ag-scorers, one number for each row."""

import collections
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.interfaces import AbstractBenchmark
from ag_core.plugins import PluginNotFoundError, registry
from ag_data import Fasta, Status
from ag_scorers.engine import Engine
from ag_scorers.results import Result, ScorerResult
from ag_scorers.scoring import choose_scorers, open_resources
from jaxtyping import Float
from rich.console import Console
from rich.progress import track as show_progress

from ag_eval import metrics
from ag_eval.evaluation import Evaluation, read_evaluation
from ag_eval.metrics import Estimate, bootstrap, paired
from ag_eval.results import Case, make_results
from ag_eval.variant_table import VariantTable, check_table, positions_of, read_table

REPEATS = 1000


class VariantEvaluation(AbstractBenchmark):
    """An evaluation from its file. Data: `table`, `fasta` of its assembly; `gtf` for scores of genes.

    Rows that cannot be scored are counted by status in the attributes, and take no part. `peers` among the data are
    plugins beside `gc_change`; columns of the table that the file names as `peers` are measured too. With `table` alone
    and a column for predictions, `measure_predictions` checks published files.
    """

    higher_is_better = True
    needs = ("table", "fasta")
    citation = licence = "what the file says"

    def __init__(self, *, file: str | os.PathLike[str] | None = None, repeats: int = REPEATS):
        self.repeats = repeats
        if file is None:
            self.needs = (*self.needs, "file")
            return
        self._evaluation = read_evaluation(file)
        self.citation, self.licence = self._evaluation.data.source, self._evaluation.data.licence

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """The figure of the model and of the peer. Raises InputError for data that do not fit."""
        own = self._evaluation
        fasta = Fasta(data["fasta"])
        table = check_table(read_table(data["table"], own.data), own.data, fasta)
        results = score_calls(model, table, own, fasta, data)
        scores = np.array([combine(result, own, gene) for result, gene in zip(results, _genes(table), strict=True)])
        scored = np.array([result.call.status is Status.SCORED for result in results])
        statuses = collections.Counter(result.call.status.value for result in results)
        others = score_peers(["gc_change", *data.get("peers", ())], table, data) | peer_columns(table.rows, own)
        predictions = {model.spec.name: scores} | {name: np.where(scored, own, np.nan) for name, own in others.items()}
        cases, counts = [], {}
        for name, values in predictions.items():
            estimate, counts[name] = measure(table.rows, values, own, positions_of(table.calls), self.repeats)
            cases.append(Case(own.name, own.metric, own.title, name, estimate))
        counted = counts[model.spec.name]
        if own.metric == "auprc":
            cases.append(Case(own.name, own.metric, own.title, "random", _chance(table.rows, scores)))
        for name, figure in own.published.items():
            nothing = float("nan")
            cases.append(Case(own.name, own.metric, "published", name, Estimate(figure.value, nothing, nothing)))
        return make_results(
            cases,
            rows=len(table.rows),
            counted=counted,
            without_score=int(scored.sum()) - counted,
            of_peers=", ".join(f"{name} {count}" for name, count in counts.items() if name != model.spec.name),
            turned=table.turned,
            number=own.number,
            split=own.split,
            traps=" ".join(own.traps),
            statuses=", ".join(f"{status} {count}" for status, count in sorted(statuses.items())),
        )


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
    return {name: pd.to_numeric(rows[f"peer {name}"], errors="coerce").to_numpy(np.float64) for name in own.data.peers}


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


def measure(
    rows: pd.DataFrame,
    scores: Float[np.ndarray, " row"],
    own: Evaluation,
    blocks: np.ndarray,
    repeats: int = REPEATS,
) -> tuple[Estimate, int]:
    """The metric with its interval, and how many rows took part."""
    targets = rows["target"].to_numpy(np.float64)
    kept, _ = paired(targets, scores)
    values = np.abs(scores) if own.size else scores
    metric = getattr(metrics, own.metric)
    if own.pairs:
        return _over_draws(rows, targets, values, kept, own), int(kept.sum())
    if own.mean_over is None:
        return bootstrap(metric, targets[kept], values[kept], blocks=blocks[kept], repeats=repeats), int(kept.sum())
    groups = rows[own.mean_over].to_numpy(str)
    by_size = own.mean_over == "tissue"

    def mean(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
        often = np.ones(len(x)) if weights is None else weights
        return weighted_mean(metric, x, y, often, groups[kept], by_size)

    return bootstrap(mean, targets[kept], values[kept], blocks=blocks[kept], repeats=repeats), int(kept.sum())


def weighted_mean(
    metric: metrics.Metric, x: np.ndarray, y: np.ndarray, weights: np.ndarray, groups: np.ndarray, by_size: bool
) -> float:
    """Mean of a metric over groups of two cases or more where it is defined, by their sizes or alike."""
    total, share = 0.0, 0.0
    for group in np.unique(groups):
        own = groups == group
        count = weights[own].sum()
        if count < 2:
            continue
        value = metric(x[own], y[own], weights[own])
        if np.isnan(value):
            continue
        weight = count if by_size else 1.0
        total, share = total + weight * value, share + weight
    return total / share if share else float("nan")


def _over_draws(rows: pd.DataFrame, targets: np.ndarray, values: np.ndarray, kept: np.ndarray, own: Evaluation):
    """One positive and one negative of each pair, drawn again and again; limits are those of the draws."""
    metric, random = getattr(metrics, own.metric), np.random.default_rng(0)
    frame = pd.DataFrame({"pair": rows["pair"], "target": targets, "row": np.arange(len(rows))}).loc[kept]
    both = frame.groupby("pair")["target"].nunique() == 2
    frame = frame.loc[frame["pair"].map(both)]
    members = [group["row"].to_numpy() for _, group in frame.groupby(["pair", "target"])]
    if not members:
        return Estimate(*[float("nan")] * 3)
    draws = []
    for _ in range(own.pairs):
        drawn = np.array([random.choice(group) for group in members])
        draws.append(metric(targets[drawn], values[drawn]))
    return Estimate(float(np.mean(draws)), *metrics.limits(np.array(draws), 0.95))


def measure_predictions(path: str | os.PathLike[str], own: Evaluation, repeats: int = 0) -> tuple[Estimate, int]:
    """The metric of a table that has predictions already, as published ones do.

    Raises InputError when the evaluation names no such column.
    """
    if "prediction" not in own.data.columns:
        raise InputError(f"{own.name}: data.columns name no prediction")
    rows = read_table(path, own.data)
    blocks = rows.groupby(["chromosome", "position"], sort=False).ngroup().to_numpy()
    return measure(rows, rows["prediction"].to_numpy(np.float64), own, blocks, repeats)


def _chance(rows: pd.DataFrame, scores: np.ndarray) -> Estimate:
    kept, _ = paired(rows["target"].to_numpy(np.float64), scores)
    return Estimate(float(rows["target"].to_numpy(np.float64)[kept].mean()), float("nan"), float("nan"))


def _genes(table: VariantTable) -> Iterable[str | None]:
    return table.rows["gene"] if "gene" in table.rows else [None] * len(table.rows)


def published_gain(ours: float, best: float, random: float = 0.0) -> float:
    """Relative improvement, corrected for a random classifier: (ours - random) / (best - random) - 1."""
    return (ours - random) / (best - random) - 1
