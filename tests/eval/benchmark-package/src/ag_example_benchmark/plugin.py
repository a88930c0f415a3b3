"""What this package offers."""

from ag_core import Plugin, hookimpl


@hookimpl
def ag_benchmarks():
    return [
        Plugin("marked_regions", "ag_example_benchmark.regions:MarkedRegions", "is more predicted in given regions?"),
        Plugin(
            "example_suite",
            "ag_eval.suites.settings:Suite",
            "marked regions, and accessibility QTLs",
            {"package": "ag_example_benchmark", "file": "suite.yaml"},
        ),
    ]
