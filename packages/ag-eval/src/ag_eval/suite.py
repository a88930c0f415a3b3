"""Runs benchmarks by name: checks what they need first, and notes what was measured with what."""

from collections.abc import Mapping, Sequence
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


def run_suite(
    names: Sequence[str], model: Checkpoint, data: Mapping[str, Mapping[str, Any]]
) -> tuple[xr.Dataset, dict[str, xr.Dataset]]:
    """All cases of several benchmarks together, and the results of each with its attributes.

    `data` is by benchmark, since their assemblies differ. All is checked before the first runs.
    """
    for name in names:
        check_data(create_benchmark(name), name, data.get(name, {}))
    each = {name: run_benchmark(name, model, data[name]) for name in names}
    together = xr.concat([results.drop_attrs() for results in each.values()], "case")
    return check_results(together), each
