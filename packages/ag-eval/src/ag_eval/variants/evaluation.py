"""Runs an evaluation of variant effects that a YAML file describes: scores by ag-scorers, one number for each row."""

import collections
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_data import Fasta, Status

from ag_eval.declared_benchmark import AbstractDeclaredBenchmark
from ag_eval.metrics import Estimate, paired
from ag_eval.results import Case, make_results
from ag_eval.rows import attach_rows
from ag_eval.seen import find_seen
from ag_eval.variants.row_metrics import REPEATS, measure
from ag_eval.variants.row_scores import combine, peer_columns, score_calls, score_peers
from ag_eval.variants.settings import read_evaluation
from ag_eval.variants.table import VariantTable, check_table, positions_of, read_table

UNSEEN = "not seen in training"


class VariantEvaluation(AbstractDeclaredBenchmark):
    """An evaluation from its file. Data: `table`, `fasta` of its assembly; `gtf` for scores of genes.

    Rows that cannot be scored are counted by status in the attributes, and take no part. `peers` among the data are
    plugins beside `gc_change`; columns of the table that the file names as `peers` are measured too. Rows in what the
    model saw in training (through `chain` also in another assembly) are counted; `seen="flag"` measures the others
    also by themselves, `seen="mask"` only these. With `table` alone and a column for predictions,
    `row_metrics.measure_predictions` checks published files.
    """

    higher_is_better = True
    needs = ("table", "fasta")

    def __init__(
        self,
        *,
        file: str | os.PathLike[str] | None = None,
        repeats: int = REPEATS,
        seen: Literal["flag", "mask"] = "flag",
    ):
        self.repeats, self.seen = repeats, seen
        self._evaluation: Any = self.take(file, read_evaluation, lambda own: [own.data])

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """The figures of the model and of peers. Raises InputError for data that do not fit."""
        own = self._evaluation
        fasta = Fasta(data["fasta"])
        table = check_table(read_table(data["table"], own.data), own.data, fasta)
        seen = find_seen(model.spec, own.data.assembly, _places(table), data.get("chain"))
        results = score_calls(model, table, own, fasta, data)
        scores = np.array([combine(result, own, gene) for result, gene in zip(results, _genes(table), strict=True)])
        scored = np.array([result.call.status is Status.SCORED for result in results])
        statuses = collections.Counter(result.call.status.value for result in results)
        others = score_peers(["gc_change", *data.get("peers", ())], table, data) | peer_columns(table.rows, own)
        taken = scored & ~seen.places if self.seen == "mask" else scored
        predictions = {
            name: np.where(taken, each, np.nan) for name, each in {model.spec.name: scores, **others}.items()
        }
        blocks = positions_of(table.calls)
        cases, counts = self._cases(own.title, table, predictions, blocks)
        if self.seen == "flag" and (scored & seen.places).any() and (scored & ~seen.places).any():
            unseen = {name: np.where(seen.places, np.nan, values) for name, values in predictions.items()}
            cases += self._cases(UNSEEN, table, unseen, blocks)[0]
        for name, figure in own.published.items():
            nothing = float("nan")
            cases.append(Case(own.name, own.metric, "published", name, Estimate(figure.value, nothing, nothing)))
        counted = counts[model.spec.name]
        found = make_results(
            cases,
            rows=len(table.rows),
            counted=counted,
            without_score=int(taken.sum()) - counted,
            of_peers=", ".join(f"{name} {count}" for name, count in counts.items() if name != model.spec.name),
            turned=table.turned,
            seen=int((scored & seen.places).sum()),
            seen_note=seen.note,
            masked=self.seen == "mask",
            number=own.number,
            split=own.split,
            traps=" ".join(own.traps),
            statuses=", ".join(f"{status} {count}" for status, count in sorted(statuses.items())),
        )
        shown = {name: np.abs(values) if own.size else values for name, values in predictions.items()}
        plain = own.metric if own.mean_over is None and not own.pairs else ""
        return attach_rows(found, table.rows["target"].to_numpy(np.float64), shown, blocks, plain)

    def _cases(
        self, group: str, table: VariantTable, predictions: Mapping[str, np.ndarray], blocks: np.ndarray
    ) -> tuple[list[Case], dict[str, int]]:
        """A case for each predictor, the last one chance where it is not plain, and how many rows each has."""
        own, cases, counts = self._evaluation, [], {}
        for name, values in predictions.items():
            estimate, counts[name] = measure(table.rows, values, own, blocks, self.repeats)
            cases.append(Case(own.name, own.metric, group, name, estimate))
        if own.metric == "auprc":
            chance = _chance(table.rows, next(iter(predictions.values())))
            cases.append(Case(own.name, own.metric, group, "random", chance))
        return cases, counts


def _places(table: VariantTable) -> pd.DataFrame:
    """The bases of each row's reference allele; where there is no variant, its position."""
    starts = [call.position - 1 for call in table.calls]
    ends = [start + max(len(call.reference), 1) for start, call in zip(starts, table.calls, strict=True)]
    return pd.DataFrame({"Chromosome": [call.chromosome for call in table.calls], "Start": starts, "End": ends})


def _chance(rows: pd.DataFrame, scores: np.ndarray) -> Estimate:
    kept, _ = paired(rows["target"].to_numpy(np.float64), scores)
    return Estimate(float(rows["target"].to_numpy(np.float64)[kept].mean()), float("nan"), float("nan"))


def _genes(table: VariantTable) -> Iterable[str | None]:
    return table.rows["gene"] if "gene" in table.rows else [None] * len(table.rows)
