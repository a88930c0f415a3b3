"""Runs a suite: each benchmark once, its results kept, so that a run that was stopped goes on where it was.

A run's folder holds `benchmarks/NAME/` (results.json, rows.parquet, and key.json, written last), and what `report` and
`card` add. What cannot run is named, with the reason, and the rest goes on.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Literal

import pandas as pd
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError

from ag_eval.benchmark_run import check_data, create_benchmark, run_benchmark
from ag_eval.file_digests import digest_of
from ag_eval.results import from_json, to_json
from ag_eval.rows import from_table, has_rows, rows_table
from ag_eval.suites.settings import PLAIN, Entry, SuiteSettings

PACKAGES = ("ag-core", "ag-data", "ag-scorers", "ag-eval")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Of one benchmark: its results, or why there are none.

    "skipped": it, its data or a head or scorer is not there, or the data do not fit; "failed": it has a fault.
    `data`: digests of the files by what they are for.
    """

    name: str
    status: Literal["done", "skipped", "failed"]
    note: str = ""
    data: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    results: xr.Dataset | None = None


def run_suite(
    settings: SuiteSettings,
    model: Checkpoint,
    out: str | os.PathLike[str],
    *,
    notify: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """An outcome for each benchmark, in order. Those whose results are in `out` already are not run again."""
    outcomes = []
    for entry in settings.benchmarks:
        outcomes.append(_run(settings, entry, model, pathlib.Path(out) / "benchmarks" / entry.name))
        notify(outcomes[-1])
    return outcomes


def _run(settings: SuiteSettings, entry: Entry, model: Checkpoint, folder: pathlib.Path) -> Outcome:
    data, options, digests = settings.data_of(entry), settings.options_of(entry), {}
    try:
        benchmark = create_benchmark(entry.benchmark, **options)
        if unset := [name for name in settings.unset(entry) if name in benchmark.needs]:
            named = {**settings.data, **entry.data}
            told = ", ".join(f"{name} ({named[name]})" for name in unset)
            raise InputError(f"needs {told}, which is not set. {_obtain(benchmark)}")
        check_data(benchmark, entry.benchmark, {**data, **options})
        digests = {key: _digested(key, value, benchmark) for key, value in data.items() if key not in (*PLAIN, "peers")}
        key = _key(entry, data, options, digests, model)
        if (kept := _kept(folder, key)) is not None:
            return Outcome(entry.name, "done", data=digests, results=kept)
        results = run_benchmark(entry.benchmark, model, data, **options)
    except InputError as error:
        return Outcome(entry.name, "skipped", str(error), digests)
    except Exception as error:  # a fault in anybody's benchmark must not cost the others' results
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc())
        return Outcome(entry.name, "failed", f"{type(error).__name__}: {error} (see {folder.name}/error.txt)", digests)
    _keep(folder, key, results)
    return Outcome(entry.name, "done", data=digests, results=results)


def _obtain(benchmark: Any) -> str:
    """How to get a benchmark's data, as far as it tells."""
    return f"How to get it: {told}" if (told := getattr(benchmark, "obtain", "")) else "Ask who wrote the benchmark"


def _digested(key: str, path: pathlib.Path, benchmark: Any) -> dict[str, str]:
    if not path.exists():
        raise InputError(f"{key}: {path.name} is not there. {_obtain(benchmark)}")
    stat = path.stat()
    return {"file": path.name, "sha256": _digest(path, stat.st_size, stat.st_mtime_ns)}


# Most benchmarks of a suite share a genome.
@functools.lru_cache(maxsize=256)
def _digest(path: pathlib.Path, size: int, modified: int) -> str:
    return digest_of(path)


def _key(entry: Entry, data: Mapping, options: Mapping, digests: Mapping, model: Checkpoint) -> str:
    """Changes when anything does that the results depend on."""
    own = {name: digest_of(value) if isinstance(value, pathlib.Path) else value for name, value in options.items()}
    plain = {name: value for name, value in data.items() if name in (*PLAIN, "peers")}
    versions = {name: version(name) for name in PACKAGES}
    content = [entry.benchmark, plain, own, digests, model.spec.name, model.digest, versions]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _kept(folder: pathlib.Path, key: str) -> xr.Dataset | None:
    try:
        if json.loads((folder / "key.json").read_text()) != key:
            return None
        results = from_json(json.loads((folder / "results.json").read_text()))
    except (OSError, ValueError):
        return None
    rows = folder / "rows.parquet"
    return from_table(results, pd.read_parquet(rows)) if rows.exists() else results


def _keep(folder: pathlib.Path, key: str, results: xr.Dataset) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("key.json", "rows.parquet", "error.txt"):
        (folder / name).unlink(missing_ok=True)
    if has_rows(results):
        rows_table(results).to_parquet(folder / "rows.parquet", index=False)
    (folder / "results.json").write_text(json.dumps(to_json(results), indent=1) + "\n")
    temporary = folder / "key.tmp"
    temporary.write_text(json.dumps(key))
    temporary.replace(folder / "key.json")
