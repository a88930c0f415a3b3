"""A kit for those who write plugins: packages to start from, and laws that a plugin keeps. See docs/plugin-kit.md."""

from ag_core.lazy import lazy_names

_NAMES = {
    "Verdict": "verdicts",
    "failures": "verdicts",
    "World": "world",
    "check_scorer": "scorer_laws",
    "check_engine": "engine_laws",
    "check_head": "head_laws",
    "check_source": "source_laws",
    "check_benchmark": "benchmark_laws",
    "write_package": "package",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
