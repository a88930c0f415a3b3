"""Variant scorers and the engine that drives them. This file is the table of contents."""

import importlib

_NAMES = {
    # Scoring whole files
    "score": "scoring",
    "open_engine": "scoring",
    "Engine": "engine",
    "Result": "results",
    "ScorerResult": "results",
    # Scorers
    "CenterMaskScorer": "center_mask",
    "Aggregation": "center_mask",
    "GeneMaskLFCScorer": "gene_mask",
    "GeneMaskActiveScorer": "gene_mask",
    "RECOMMENDED": "recommended",
    "recommended": "recommended",
    "parse_scorer": "recommended",
    # Indels
    "Alignment": "align",
    "alignment": "align",
    "align_alternate": "align",
    # Output
    "open_writer": "outputs",
    "to_datatree": "dataset",
    "Tidy": "tidy",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
