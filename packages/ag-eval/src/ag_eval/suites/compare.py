"""Two runs of a suite side by side."""

import json
import math
import os
import pathlib
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr
from ag_core.errors import InputError

from ag_eval.results import from_json, to_table
from ag_eval.rows import from_table
from ag_eval.suites.paired_tests import Paired, between_runs


class Row(NamedTuple):
    """The first group of a metric, of either model."""

    benchmark: str
    metric: str
    one: float
    other: float


class Comparison(NamedTuple):
    """`notes` says what was not compared."""

    models: tuple[str, str]
    rows: list[Row]
    tests: list[Paired]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain data, None for NaN."""

        def plain(value: float) -> float | None:
            return None if math.isnan(value) else float(value)

        tests = [
            {
                "benchmark": test.benchmark,
                "metric": test.metric,
                "difference": plain(test.found.estimate.value),
                "low": plain(test.found.estimate.low),
                "high": plain(test.found.estimate.high),
                "p": plain(test.found.p),
                "q": plain(test.q),
            }
            for test in self.tests
        ]
        rows = [{**row._asdict(), "one": plain(row.one), "other": plain(row.other)} for row in self.rows]
        return {"models": list(self.models), "rows": rows, "paired": tests, "notes": self.notes}


def compare_runs(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> Comparison:
    """What both runs measured. Raises InputError for a folder without a run, and where no benchmark is in both."""
    cards, results = zip(*(_read(pathlib.Path(folder)) for folder in (one, other)), strict=True)
    both = [name for name in results[0] if name in results[1]]
    if not both:
        raise InputError(f"{one} and {other} have no benchmark in common; compare runs of one suite")
    notes = [
        f"{name} is only in {folder}"
        for folder, own, others in ((one, results[0], results[1]), (other, results[1], results[0]))
        for name in own
        if name not in others
    ]
    for name in both:
        data = [next(each["data"] for each in card["benchmarks"] if each["name"] == name) for card in cards]
        if data[0] != data[1]:
            notes.append(f"{name}: the runs had different data; figures are not comparable")
    rows = [row for name in both for row in _rows(name, results[0][name], results[1][name])]
    tests = between_runs((name, results[0][name], results[1][name]) for name in both)
    return Comparison((cards[0]["model"]["name"], cards[1]["model"]["name"]), rows, tests, notes)


def _read(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    try:
        card = json.loads((folder / "card.json").read_text())
        results = {}
        for entry in card["benchmarks"]:
            place = folder / "benchmarks" / entry["name"]
            if entry["status"] != "done":
                continue
            found = from_json(json.loads((place / "results.json").read_text()))
            rows = place / "rows.parquet"
            results[entry["name"]] = from_table(found, pd.read_parquet(rows)) if rows.exists() else found
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} is no folder of a finished run ({error}); make one with agenome eval run"
        ) from error
    return card, results


def _rows(name: str, one: xr.Dataset, other: xr.Dataset) -> list[Row]:
    values = []
    for results in (one, other):
        table: Any = to_table(results)
        own = table[table["model"] == results.attrs.get("model")]
        values.append(own.drop_duplicates("metric").set_index("metric")["value"])
    return [
        Row(name, str(metric), float(values[0][metric]), float(values[1][metric]))
        for metric in values[0].index
        if metric in values[1].index
    ]
