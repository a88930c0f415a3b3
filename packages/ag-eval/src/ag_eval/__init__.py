"""Benchmarks as plugins, metrics and results. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # Running
    "run_benchmark": "suite",
    "run_suite": "suite_run",
    "find_suite": "suite_settings",
    "write_report": "report",
    "compare_runs": "compare",
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
    "difference": "comparisons",
    "adjusted": "comparisons",
    "relative_gain": "comparisons",
    # Measured variants
    "read_measured": "variants",
    "score_variants": "variants",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
