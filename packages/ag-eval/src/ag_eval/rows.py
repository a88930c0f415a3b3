"""What each case was and what each predictor said of it, beside the results: for pictures and paired tests.

Optional in a Dataset of results: `target(row)`, `score(predictor, row)`, `block(row)`, with the coordinate `predictor`.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from ag_eval.results import VARIABLES


def attach_rows(
    results: xr.Dataset,
    target: Float[np.ndarray, " row"],
    scores: Mapping[str, Float[np.ndarray, " row"]],
    blocks: Int[np.ndarray, " row"] | None = None,
) -> xr.Dataset:
    """`results` with rows; NaN where a predictor says nothing."""
    blocks = np.arange(len(target)) if blocks is None else np.asarray(blocks)
    together = np.stack([np.asarray(values, np.float64) for values in scores.values()])
    return results.assign(
        target=("row", np.asarray(target, np.float64)), score=(("predictor", "row"), together), block=("row", blocks)
    ).assign_coords(predictor=("predictor", np.array(list(scores), object)))


def has_rows(results: xr.Dataset) -> bool:
    """Whether `attach_rows` was there."""
    return "target" in results and "score" in results


def cases_only(results: xr.Dataset) -> xr.Dataset:
    """The results without rows."""
    return results[list(VARIABLES)].drop_vars("predictor", errors="ignore")
