"""Some of what was measured and predicted, few enough for plots, drawn with a fixed seed."""

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr
from jaxtyping import Shaped

from ag_eval.rows import attach_rows

MOST = 20_000
# A curve of fewer positives would be noise.
LEAST_POSITIVES = 50


class TrackPoints:
    """Cases by chance, of each window as many as of the next, about `most` in all; NaN in the target does not count."""

    def __init__(self, windows: int, most: int = MOST):
        self._quota = max(most // max(windows, 1), 1)
        self._random = np.random.default_rng(0)
        self._parts: list[dict[str, np.ndarray]] = []

    def add(
        self,
        window: int,
        target: Shaped[np.ndarray, " case"],
        scores: Mapping[str, Shaped[np.ndarray, " case"]],
    ) -> None:
        """Cases of a window, and what each predictor says of them."""
        target = np.asarray(target, np.float64)
        chosen = np.flatnonzero(~np.isnan(target))
        if len(chosen) > self._quota:
            chosen = np.sort(self._random.choice(chosen, self._quota, replace=False))
        part = {name: np.asarray(values, np.float64)[chosen] for name, values in scores.items()}
        self._parts.append({"target": target[chosen], "block": np.full(len(chosen), window), **part})

    def columns(self) -> dict[str, np.ndarray]:
        """`target`, `block` and the predictors; nothing where nothing was added."""
        names = self._parts[0] if self._parts else ()
        return {name: np.concatenate([part[name] for part in self._parts]) for name in names}


def attach_points(
    results: xr.Dataset, points: Iterable[TrackPoints], names: Mapping[str, str], most: int = MOST
) -> xr.Dataset:
    """`results` with at most `most` rows (`ag_eval.rows`), predictors called by `names`; none of too few positives."""
    tables = [table for table in (each.columns() for each in points) if table]
    if not tables:
        return results
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    if len(whole["target"]) > most:
        rows = np.sort(np.random.default_rng(0).choice(len(whole["target"]), most, replace=False))
        whole = {name: values[rows] for name, values in whole.items()}
    target, blocks = whole.pop("target"), whole.pop("block")
    if set(np.unique(target)) <= {0.0, 1.0} and target.sum() < LEAST_POSITIVES:
        return results
    return attach_rows(results, target, {names.get(name, name): each for name, each in whole.items()}, blocks)
