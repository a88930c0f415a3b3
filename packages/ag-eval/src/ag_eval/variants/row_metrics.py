"""An evaluation's metric over the rows of its table, with its interval."""

import os

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from jaxtyping import Float

from ag_eval import metrics
from ag_eval.metrics import Estimate, bootstrap, paired
from ag_eval.variants.settings import Evaluation
from ag_eval.variants.table import read_table

REPEATS = 1000


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
