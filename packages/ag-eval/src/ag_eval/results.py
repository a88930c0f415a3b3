"""Results of benchmarks as a plain Dataset: `value, low, high (case)`, with text coordinates on `case`."""

import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError

from ag_eval.metrics import Estimate

COORDINATES = ("benchmark", "metric", "group", "model")
VARIABLES = ("value", "low", "high")


class Case(NamedTuple):
    """One figure: what was measured (`benchmark`, `metric`), on what (`group`: a track, "median"), of whom."""

    benchmark: str
    metric: str
    group: str
    model: str
    estimate: Estimate


def make_results(cases: Iterable[Case], **attributes: Any) -> xr.Dataset:
    """Builds and checks the results; `attributes` say what holds for all of them (counts, digest, citation)."""
    cases = list(cases)
    coordinates = {name: ("case", np.array([getattr(case, name) for case in cases], object)) for name in COORDINATES}
    values = {
        name: ("case", np.array([getattr(case.estimate, name) for case in cases], np.float64)) for name in VARIABLES
    }
    return check_results(xr.Dataset(values, coords=coordinates, attrs=attributes))


def check_results(results: xr.Dataset) -> xr.Dataset:
    """Returns `results`; raises ValueError that names the first thing wrong with them."""
    for name in (*VARIABLES, *COORDINATES):
        held = results.data_vars if name in VARIABLES else results.coords
        if name not in held or results[name].dims != ("case",):
            kind = "variable" if name in VARIABLES else "coordinate"
            raise ValueError(f"results need the {kind} {name!r} along 'case'; they have {sorted(map(str, held))}")
    keys = list(zip(*(results[name].values for name in COORDINATES), strict=True))
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the case {twice} occurs more than once; {COORDINATES} must be unique together")
    value, low, high = (results[name].values for name in VARIABLES)
    wrong = np.flatnonzero(low > high)
    if len(wrong):
        i = wrong[0]
        raise ValueError(f"case {keys[i]}: low {low[i]} is above high {high[i]}; swap them")
    if unknown := np.flatnonzero(np.isinf(value)).tolist():
        raise ValueError(f"case {keys[unknown[0]]}: value {value[unknown[0]]}; use NaN for what is undefined")
    return results


def to_table(results: xr.Dataset) -> pd.DataFrame:
    """One row for each case: the four coordinates, then value, low, high."""
    return results[list(VARIABLES)].to_dataframe().reset_index(drop=True).loc[:, [*COORDINATES, *VARIABLES]]


def to_json(results: xr.Dataset) -> dict[str, Any]:
    """Plain data: `attributes` and `cases`, with None for NaN."""

    def plain(value: Any) -> Any:
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and np.isnan(value) else value

    rows = to_table(results).to_dict("records")
    cases = [{str(key): plain(value) for key, value in row.items()} for row in rows]
    return {"attributes": {str(key): plain(value) for key, value in results.attrs.items()}, "cases": cases}


def from_json(content: dict[str, Any]) -> xr.Dataset:
    """The inverse of `to_json`."""

    def case(row: dict[str, Any]) -> Case:
        numbers = [float("nan") if row[name] is None else float(row[name]) for name in VARIABLES]
        benchmark, metric, group, model = (str(row[name]) for name in COORDINATES)
        return Case(benchmark, metric, group, model, Estimate(*numbers))

    return make_results(map(case, content["cases"]), **content["attributes"])


def write_results(results: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Writes .parquet (attributes in the frame's own), or .json as `to_json`; InputError for other names."""
    path = pathlib.Path(path)
    if path.suffix not in (".parquet", ".json"):
        raise InputError(f"cannot write results to {path}; expected a name that ends in .parquet or .json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            path.write_text(json.dumps(to_json(results), indent=1) + "\n")
        else:
            table = to_table(results)
            table.attrs = to_json(results)["attributes"]
            table.to_parquet(path, index=False)
    except OSError as error:
        raise InputError(f"cannot write results to {path} ({error}); choose another place") from error
