"""Runs a benchmark by name: checks what it needs first, and notes what was measured with what."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.interfaces import AbstractBenchmark
from ag_core.plugins import PluginNotFoundError, registry

from ag_eval.results import check_results


def create_benchmark(name: str, **options: Any) -> AbstractBenchmark:
    """The benchmark of that name. Raises InputError for an unknown name, listing what there is."""
    try:
        return registry().create("benchmarks", name, **options)
    except PluginNotFoundError as error:
        raise InputError(str(error)) from error
    except TypeError as error:
        raise InputError(f"benchmark {name} does not take these options: {error}") from error


def check_data(benchmark: AbstractBenchmark, name: str, data: Mapping[str, Any]) -> None:
    """Raises InputError naming the data that `benchmark` needs and `data` lacks."""
    missing = [need for need in getattr(benchmark, "needs", ()) if not data.get(need)]
    if missing:
        raise InputError(f"benchmark {name} needs {', '.join(missing)}; give --{' and --'.join(missing)}")


def run_benchmark(name: str, model: Checkpoint, data: Mapping[str, Any], **options: Any) -> xr.Dataset:
    """Checked results, with citation, licence, model digest and version among the attributes.

    `data` is what the benchmark's `needs` say (paths, as a rule); `options` override the plugin's.
    """
    benchmark = create_benchmark(name, **options)
    check_data(benchmark, name, data)
    results = check_results(benchmark.run(model, data))
    return results.assign_attrs(
        benchmark=name,
        citation=benchmark.citation,
        licence=benchmark.licence,
        higher_is_better=benchmark.higher_is_better,
        model=model.spec.name,
        digest=model.digest,
        ag_eval=version("ag-eval"),
    )
