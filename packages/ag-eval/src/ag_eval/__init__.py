"""Benchmarks as plugins, metrics and results. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # Running
    "run_benchmark": "benchmark_run",
    "run_suite": "suites.run",
    "find_suite": "suites.settings",
    "write_report": "suites.report",
    "compare_runs": "suites.compare",
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
    "read_measured": "variants.measured",
    "score_variants": "variants.measured",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
