"""What each case was and what each predictor said of it, beside the results: for pictures and paired tests.

Optional in a Dataset of results: `target(row)`, `score(predictor, row)`, `block(row)`, with the coordinate `predictor`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from ag_eval.results import VARIABLES


def attach_rows(
    results: xr.Dataset,
    target: Float[np.ndarray, " row"],
    scores: Mapping[str, Float[np.ndarray, " row"]],
    blocks: Int[np.ndarray, " row"] | None = None,
    metric: str = "",
) -> xr.Dataset:
    """`results` with rows; NaN where a predictor says nothing.

    `metric`: the one over all rows, where it is as plain as that.
    """
    blocks = np.arange(len(target)) if blocks is None else np.asarray(blocks)
    together = np.stack([np.asarray(values, np.float64) for values in scores.values()])
    if metric:
        results = results.assign_attrs(rows_metric=metric)
    return results.assign(
        target=("row", np.asarray(target, np.float64)), score=(("predictor", "row"), together), block=("row", blocks)
    ).assign_coords(predictor=("predictor", np.array(list(scores), object)))


def has_rows(results: xr.Dataset) -> bool:
    """Whether `attach_rows` was there."""
    return "target" in results and "score" in results


def cases_only(results: xr.Dataset) -> xr.Dataset:
    """The results without rows."""
    return results[list(VARIABLES)]


def rows_table(results: xr.Dataset) -> pd.DataFrame:
    """The rows as a table: target, block, and a column for each predictor."""
    table = pd.DataFrame({"target": results["target"].values, "block": results["block"].values})
    scores = results["score"].transpose("predictor", "row").values
    own = {f"score {name}": values for name, values in zip(results["predictor"].values, scores, strict=True)}
    return table.assign(**own)


def from_table(results: xr.Dataset, table: pd.DataFrame) -> xr.Dataset:
    """The inverse of `rows_table`."""
    scores = {name.removeprefix("score "): table[name].to_numpy() for name in table if name.startswith("score ")}
    return attach_rows(results, table["target"].to_numpy(), scores, table["block"].to_numpy())
