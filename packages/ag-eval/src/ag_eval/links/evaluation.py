"""Runs an evaluation of links between elements and genes: average precision, on what is in reach and on all pairs."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint

from ag_eval.declared_benchmark import AbstractDeclaredBenchmark
from ag_eval.links.features import link_features
from ag_eval.links.settings import Links, read_links_file
from ag_eval.metrics import Estimate, auprc, bootstrap, paired
from ag_eval.results import Case, make_results

REPEATS = 1000
NOTHING = (float("nan"), float("nan"))


class LinkEvaluation(AbstractDeclaredBenchmark):
    """An evaluation of links from its file. Data: `table`, `fasta` of its assembly; `gtf` for exons and strands.

    Pairs that the model's window does not hold are counted by status. Figures "in reach" leave them out, those of
    "all pairs" rank them last; baselines are measured on the same pairs.
    """

    higher_is_better = True
    needs = ("table", "fasta")

    def __init__(self, *, file: str | os.PathLike[str] | None = None, repeats: int = REPEATS):
        self.repeats = repeats
        self._own: Any = self.take(file, read_links_file, lambda own: [own.data])

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """The figures of each score and baseline. Raises InputError for data that do not fit."""
        own = self._own
        found = link_features(model, own, data)
        target, blocks = found.rows["target"].to_numpy(np.float64), blocks_of(found.rows, own)
        reach, cases = found.in_reach, []
        predictions = {
            f"{model.spec.name}, {name}": last_where_missing(values) for name, values in found.scores.items()
        }
        predictions |= {name: last_where_missing(values) for name, values in found.baselines.items()}
        for group, kept in (("in reach", reach), ("all pairs", np.ones(len(target), bool))):
            positives = int(target[kept].sum())
            label = f"{own.title}; {group}, {positives} of {int(kept.sum())}"
            for name, values in predictions.items():
                estimate, _ = measure_links(target[kept], values[kept], blocks[kept], self.repeats)
                cases.append(Case(own.name, "auprc", label, name, estimate))
            share = float(target[kept].mean()) if kept.any() else float("nan")
            cases.append(Case(own.name, "auprc", label, "random", Estimate(share, *NOTHING)))
        for name, figure in own.published.items():
            cases.append(Case(own.name, "auprc", "published", name, Estimate(figure.value, *NOTHING)))
        return make_results(
            cases,
            rows=len(target),
            counted=int(reach.sum()),
            positives=int(target.sum()),
            positives_in_reach=int(target[reach].sum()),
            peers_without_score=", ".join(
                f"{name} {int(np.isnan(values).sum())}"
                for name, values in found.baselines.items()
                if np.isnan(values).any()
            ),
            number=own.number,
            split=own.split,
            traps=" ".join(own.traps),
            statuses=", ".join(f"{status} {count}" for status, count in sorted(found.statuses.items())),
        )


def last_where_missing(scores: np.ndarray) -> np.ndarray:
    """The scores, with what has none below all others; all alike where there is none at all."""
    known = ~np.isnan(scores)
    lowest = scores[known].min() - 1 if known.any() else 0.0
    return np.where(known, scores, lowest)


def blocks_of(rows: Any, own: Links) -> np.ndarray:
    """A number for what is drawn together."""
    columns = ["chromosome", "start", "end"] if own.blocks == "element" else [own.blocks]
    return rows.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()


def measure_links(
    target: np.ndarray, scores: np.ndarray, blocks: np.ndarray, repeats: int = REPEATS
) -> tuple[Estimate, int]:
    """Average precision with its interval, NaN with one class only, and how many pairs took part."""
    kept, _ = paired(target, scores)
    if len(np.unique(target[kept])) < 2:
        return Estimate(*[float("nan")] * 3), int(kept.sum())
    return bootstrap(auprc, target[kept], scores[kept], blocks=blocks[kept], repeats=repeats), int(kept.sum())
