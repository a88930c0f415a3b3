"""Runs a supervised evaluation that a YAML file describes: features by the engine, learnt and held out by groups."""

import collections
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_data import Fasta

from ag_eval.declared_benchmark import AbstractDeclaredBenchmark
from ag_eval.links.evaluation import measure_links
from ag_eval.links.features import link_features
from ag_eval.metrics import Estimate, paired
from ag_eval.results import Case, make_results
from ag_eval.supervised.features import choose_features, variant_features
from ag_eval.supervised.learning import Groups, group_rows, out_of_fold
from ag_eval.supervised.settings import Supervised, read_supervised
from ag_eval.variants.evaluation import REPEATS, measure, peer_columns, score_calls, score_peers
from ag_eval.variants.settings import Evaluation
from ag_eval.variants.table import check_table, read_table

NOTHING = (float("nan"), float("nan"))


@dataclasses.dataclass(frozen=True)
class Problem:
    """Rows with their features, numbered alike; `others` are predictions that nothing was learnt for."""

    rows: Any
    features: Any
    positions: np.ndarray
    others: Mapping[str, np.ndarray]
    statuses: Mapping[str, int]
    turned: int = 0


class SupervisedEvaluation(AbstractDeclaredBenchmark):
    """A supervised evaluation from its file. Data: `table`, `fasta` of its assembly; `gtf` for scores of genes.

    All predictions are out of fold, and groups are drawn together for the intervals. Rows that cannot be scored are
    counted by status in the attributes; those without any feature take no part.
    """

    higher_is_better = True
    needs = ("table", "fasta")

    def __init__(self, *, file: str | os.PathLike[str] | None = None, repeats: int = REPEATS):
        self.repeats = repeats
        self._file: Any = self.take(file, read_supervised, lambda own: [own.table.data])

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """A figure for each set of features, and of peers. Raises InputError for data that do not fit."""
        file, own = self._file, self._file.table
        problem = _of_variants(model, file.variants, file, data) if file.variants else _of_links(model, file, data)
        rows, groups = problem.rows, find_groups(problem, file)
        learnt, left_out = {}, 0
        for name, words in (file.sets or {"all features": []}).items():
            chosen = choose_features(problem.features, words) if words else problem.features
            if chosen.shape[1] == 0:
                raise InputError(
                    f"set {name!r}: no feature begins with {', '.join(words)}; there are "
                    f"{', '.join(problem.features.columns[:12])}"
                )
            label = f"{model.spec.name}, {file.estimator}, {name} ({chosen.shape[1]})"
            learnt[label], left_out = predict_rows(rows, chosen, groups, file)
        cases, counts, metric = [], {}, getattr(own, "metric", "auprc")
        # All are measured on the rows that every set predicts.
        kept, _ = paired(*learnt.values())
        for name, values in (learnt | dict(problem.others)).items():
            estimate, counts[name] = self._measure(rows, np.where(kept, values, np.nan), groups)
            cases.append(Case(own.name, metric, own.title, name, estimate))
        counted = counts[next(iter(learnt))]
        if metric == "auprc":
            share = float(rows["target"][kept].mean()) if counted else float("nan")
            cases.append(Case(own.name, metric, own.title, "random", Estimate(share, *NOTHING)))
        for name, figure in own.published.items():
            cases.append(Case(own.name, metric, "published", name, Estimate(figure.value, *NOTHING)))
        return make_results(
            cases,
            rows=len(rows),
            counted=counted,
            of_peers=", ".join(f"{name} {count}" for name, count in counts.items() if name not in learnt),
            groups=len(np.unique(groups[kept])),
            grouped_by=f"{file.groups.by}{f', {file.groups.span:,} bp' * (file.groups.by in ('locus', 'block'))}",
            folds=file.folds,
            tissues_left_out=left_out,
            turned=problem.turned,
            number=own.number,
            split=own.split,
            traps=" ".join(own.traps),
            statuses=", ".join(f"{status} {count}" for status, count in sorted(problem.statuses.items())),
        )

    def _measure(self, rows: Any, values: np.ndarray, groups: Groups) -> tuple[Estimate, int]:
        if self._file.variants:
            return measure(rows, values, self._file.variants, groups, self.repeats)
        return measure_links(rows["target"].to_numpy(np.float64), values, groups, self.repeats)


def predict_rows(rows: Any, features: Any, groups: Groups, file: Supervised) -> tuple[np.ndarray, int]:
    """Predictions out of fold, and how many tissues were left out: with one class, or fewer groups than folds.

    Raises InputError as `out_of_fold` does; of tissues, when none is left.
    """
    target = rows["target"].to_numpy(np.float64)
    given = file.estimator, file.folds, file.settings
    if file.fit_each is None:
        return out_of_fold(features, target, groups, *given), 0
    predictions, left_out, reason = np.full(len(rows), np.nan), 0, None
    tissues = rows[file.fit_each].to_numpy(str)
    for tissue in np.unique(tissues):
        own = tissues == tissue
        try:
            predictions[own] = out_of_fold(features[own], target[own], groups[own], *given)
        except InputError as error:
            left_out, reason = left_out + 1, error
    if left_out == len(np.unique(tissues)):
        raise InputError(f"nothing can be learnt in any of {left_out} tissues; in the last one: {reason}")
    return predictions, left_out


def find_groups(problem: Problem, file: Supervised) -> Groups:
    """The group of each row. Raises InputError where a row has none."""
    by = file.groups.by
    names = problem.rows[by].to_numpy(object) if by in ("group", "gene") else None
    chromosomes = problem.rows["chromosome"].to_numpy(object)
    return group_rows(chromosomes, problem.positions, by, file.groups.span, names)


def _of_variants(model: Checkpoint, own: Evaluation, file: Supervised, data: Mapping[str, Any]) -> Problem:
    fasta = Fasta(data["fasta"])
    table = check_table(read_table(data["table"], own.data), own.data, fasta)
    results = score_calls(model, table, own, fasta, data)
    genes = table.rows["gene"] if "gene" in table.rows else [None] * len(results)
    features = variant_features(results, own, genes, by=file.features.by, over=file.features.over)
    for name, values in peer_columns(table.rows, own).items():
        features[f"peer {name}"] = values
    return Problem(
        table.rows,
        features,
        table.rows["position"].to_numpy(np.int64),
        score_peers(["gc_change", *data.get("peers", ())], table, data),
        collections.Counter(result.call.status.value for result in results),
        table.turned,
    )


def _of_links(model: Checkpoint, file: Supervised, data: Mapping[str, Any]) -> Problem:
    assert file.links is not None
    found = link_features(model, file.links, data)
    middle = ((found.rows["start"] + found.rows["end"]) // 2).to_numpy(np.int64)
    return Problem(found.rows, found.features, middle, found.baselines, found.statuses)
