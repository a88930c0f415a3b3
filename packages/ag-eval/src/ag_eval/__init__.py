"""Benchmarks as plugins, metrics and results. This file is the table of contents."""

import importlib

_NAMES = {
    # Running
    "run_benchmark": "suite",
    "run_suite": "suite",
    # Results
    "Case": "results",
    "make_results": "results",
    "check_results": "results",
    "to_table": "results",
    "to_json": "results",
    "write_results": "results",
    # Metrics
    "Estimate": "metrics",
    "auroc": "metrics",
    "auprc": "metrics",
    "pearson": "metrics",
    "spearman": "metrics",
    "bootstrap": "metrics",
    "bootstrap_median": "metrics",
    "paired": "metrics",
    # Measured variants
    "read_measured": "variants",
    "score_variants": "variants",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
