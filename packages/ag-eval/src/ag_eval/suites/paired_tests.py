"""A model against each other predictor on the rows both have, and two models against each other."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from ag_eval import metrics
from ag_eval.comparisons import Difference, adjusted, difference
from ag_eval.metrics import Metric, paired
from ag_eval.rows import has_rows

REPEATS = 1000


class Paired(NamedTuple):
    """`one` less `other`; `q` is Benjamini and Hochberg's p over all that were tested together."""

    benchmark: str
    metric: str
    one: str
    other: str
    found: Difference
    q: float


def against_others(named: Iterable[tuple[str, xr.Dataset]], repeats: int = REPEATS) -> list[Paired]:
    """Of each benchmark's results that have rows: the first predictor against the others."""
    tests = []
    for name, results in named:
        if (metric := row_metric(results)) is None:
            continue
        first, *others = results["predictor"].values
        scores = {each: results["score"].sel(predictor=each).values for each in (first, *others)}
        for other in others:
            found = _test(metric, results, scores[first], scores[other], repeats)
            tests.append((name, results.attrs["rows_metric"], first, other, found))
    return _adjusted(tests)


def between_runs(
    named: Iterable[tuple[str, xr.Dataset, xr.Dataset]], labels: tuple[str, str] = ("A", "B"), repeats: int = REPEATS
) -> list[Paired]:
    """The first predictors of two runs, where both measured the same rows."""
    tests = []
    for name, one, other in named:
        metric = row_metric(one)
        if metric is None or row_metric(other) is None or not _same_rows(one, other):
            continue
        ours, theirs = (each["score"].values[0] for each in (one, other))
        tests.append((name, one.attrs["rows_metric"], *labels, _test(metric, one, ours, theirs, repeats)))
    return _adjusted(tests)


def row_metric(results: xr.Dataset) -> Metric | None:
    """The metric over rows, where there are rows and it is as plain as that."""
    name = results.attrs.get("rows_metric", "")
    return getattr(metrics, name) if has_rows(results) and name else None


def _test(metric: Metric, results: xr.Dataset, one: np.ndarray, other: np.ndarray, repeats: int) -> Difference:
    target, blocks = results["target"].values, results["block"].values
    both = paired(target, one)[0] & paired(target, other)[0]
    return difference(metric, target[both], one[both], other[both], blocks=blocks[both], repeats=repeats)


def _same_rows(one: xr.Dataset, other: xr.Dataset) -> bool:
    targets = one["target"].values, other["target"].values
    return targets[0].shape == targets[1].shape and np.array_equal(*targets, equal_nan=True)


def _adjusted(tests: Sequence[tuple[str, str, str, str, Difference]]) -> list[Paired]:
    q_values = adjusted([found.p for *_, found in tests])
    return [
        Paired(benchmark, metric, one, other, found, float(q))
        for (benchmark, metric, one, other, found), q in zip(tests, q_values, strict=True)
    ]
