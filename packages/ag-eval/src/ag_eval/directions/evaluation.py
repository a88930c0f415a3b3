"""For how many credible sets can one say which way a gene acts? Thresholds come from eQTLs of known direction."""

import collections
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_data import Fasta, Status
from ag_scorers.results import Result

from ag_eval.declared_benchmark import AbstractDeclaredBenchmark
from ag_eval.directions.credible_sets import read_sets, resolve, resolved_shares
from ag_eval.directions.settings import read_direction
from ag_eval.metrics import Estimate, bootstrap
from ag_eval.results import Case, make_results
from ag_eval.variants.evaluation import REPEATS, combine, score_calls
from ag_eval.variants.settings import Evaluation
from ag_eval.variants.signs import sign_curve
from ag_eval.variants.table import check_table, positions_of, read_table

VOTES = ("set", "row", "gene", "pip", "effect", "score")


@dataclasses.dataclass(frozen=True)
class Scored:
    """Credible sets with scores (`votes`, see `resolve`), the names of all sets, and the eQTLs' effects and scores."""

    votes: pd.DataFrame
    sets: pd.Index
    effects: np.ndarray
    scores: np.ndarray
    places: np.ndarray
    statuses: Mapping[str, int]
    turned: tuple[int, int]

    def threshold(self, accuracy: float) -> tuple[float, float]:
        """The share of eQTLs called with this accuracy of signs, and the least |score|; 0 and NaN without any."""
        return sign_curve(self.effects, self.scores).recall_at(accuracy)


class GwasDirection(AbstractDeclaredBenchmark):
    """Shares of credible sets resolved, plain and by PIP. Data: `table` (sets), `eqtls`, `fasta`, `gtf` of genes.

    A set is resolved when some gene has a direction (`credible_sets.resolve`); by PIP, the probability of its variants
    that are called counts. Sets none of which can be scored count as not resolved. Intervals draw sets again, at a
    threshold that is taken as given; where no threshold reaches the accuracy, none is resolved.
    """

    higher_is_better = True
    needs = ("table", "eqtls", "fasta", "gtf")

    def __init__(self, *, file: str | os.PathLike[str] | None = None, repeats: int = REPEATS):
        self.repeats = repeats
        self._own: Any = self.take(file, read_direction, lambda own: [own.sets.table, own.eqtls])

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """The shares at each accuracy. Raises InputError for data that do not fit."""
        own, scored = self._own, self.score(model, data)
        cases, thresholds, name = [], {}, model.spec.name
        for accuracy in own.accuracies:
            percent = f"{accuracy:.0%}".removesuffix("%")
            _, threshold = scored.threshold(accuracy)
            thresholds[percent] = threshold
            shares = resolved_shares(scored.votes, scored.sets, threshold)
            figures = {
                f"resolved_{percent}": _share(shares["resolved"], self.repeats),
                f"resolved_by_pip_{percent}": _share(shares["by_pip"], self.repeats),
                f"recall_{percent}": _recall(scored, accuracy, self.repeats),
            }
            cases += [Case(own.name, metric, own.title, name, estimate) for metric, estimate in figures.items()]
        for metric, figures in own.published.items():
            for who, figure in figures.items():
                cases.append(Case(own.name, metric, "published", who, Estimate(figure.value, *[float("nan")] * 2)))
        return make_results(
            cases,
            sets=len(scored.sets),
            eqtls=len(scored.effects),
            thresholds=", ".join(f"{percent} % {value:.6g}" for percent, value in thresholds.items()),
            turned=scored.turned[0],
            turned_eqtls=scored.turned[1],
            number=own.number,
            split=own.split,
            traps=" ".join(own.traps),
            statuses=", ".join(f"{status} {count}" for status, count in sorted(scored.statuses.items())),
        )

    def directions(self, model: Checkpoint, data: Mapping[str, Any], accuracy: float = 0.8) -> Any:
        """Which way each gene acts in each set, at a threshold of this accuracy: the table of `resolve`.

        `lead` is the number of a row of the table, from 0.
        """
        scored = self.score(model, data)
        return resolve(scored.votes, scored.threshold(accuracy)[1])

    def score(self, model: Checkpoint, data: Mapping[str, Any]) -> Scored:
        """Both tables, scored by the engine."""
        own, fasta = self._own, Fasta(data["fasta"])
        evaluation = own.scoring(own.eqtls, "own")
        eqtls = check_table(read_table(data["eqtls"], own.eqtls), own.eqtls, fasta)
        known = score_calls(model, eqtls, evaluation, fasta, data)
        genes = eqtls.rows["gene"]
        scores = np.array([combine(result, evaluation, gene) for result, gene in zip(known, genes, strict=True)])
        if np.isnan(scores).all():
            raise InputError(
                f"{data['eqtls']}: no variant has a score for its gene; are its ids those of {data['gtf']}, and is the "
                "gene's start within the model's window?"
            )
        table = check_table(read_sets(data["table"], own.sets), own.sets.table, fasta)
        evaluation = own.scoring(own.sets.table, own.genes)
        results = score_calls(model, table, evaluation, fasta, data)
        votes = pd.DataFrame(list(_votes(table.rows, results, evaluation)), columns=list(VOTES))
        counts = collections.Counter(f"sets: {result.call.status.value}" for result in results)
        counts.update(f"eQTLs: {result.call.status.value}" for result in known)
        counts["eQTLs: scored, gene out of reach"] = int(
            sum(result.call.status is Status.SCORED for result in known) - (~np.isnan(scores)).sum()
        )
        names: Any = table.rows["set"]
        sets = pd.Index(names.unique(), name="set")
        effects = eqtls.rows["target"].to_numpy(np.float64)
        return Scored(votes, sets, effects, scores, positions_of(eqtls.calls), counts, (table.turned, eqtls.turned))


def _votes(rows: Any, results: list[Result], own: Evaluation) -> Iterator[tuple[Any, ...]]:
    each = own.model_copy(update={"genes": "own"})
    for number, (row, result) in enumerate(zip(rows.to_dict("records"), results, strict=True)):
        if own.genes == "own":
            genes = [str(row["gene"])]
        else:
            genes = list(dict.fromkeys(str(gene) for score in result.scores for gene in score.table.get("gene_id", ())))
        for gene in genes:
            score = combine(result, each, gene)
            yield row["set"], number, gene.partition(".")[0], row["pip"], row["target"], score


def _share(values: Any, repeats: int) -> Estimate:
    numbers = values.to_numpy(np.float64)
    return bootstrap(lambda _, y, often=None: float(np.average(y, weights=often)), numbers, numbers, repeats=repeats)


def _recall(scored: Scored, accuracy: float, repeats: int) -> Estimate:
    def recall(effects: np.ndarray, scores: np.ndarray, often: np.ndarray | None = None) -> float:
        if often is not None:
            effects, scores = np.repeat(effects, often), np.repeat(scores, often)
        return sign_curve(effects, scores).recall_at(accuracy)[0]

    return bootstrap(recall, scored.effects, scored.scores, blocks=scored.places, repeats=repeats)
