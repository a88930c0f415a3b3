"""Variant scorers and the engine that drives them. This file is the table of contents."""

from ag_core.lazy import lazy_names

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

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
