"""Genomes, annotations, variants and measured tracks, in and out. This file is the table of contents."""

import importlib

_NAMES = {
    # Reference sequence
    "Fasta": "fasta",
    # Genes
    "Annotation": "annotation",
    "read_gtf": "annotation",
    # Variants
    "Call": "variants",
    "Status": "variants",
    "Header": "variants",
    "read_header": "variants",
    "read_variants": "variants",
    "check_calls": "variants",
    "ReferenceReport": "reference",
    "reference_report": "reference",
    # Tracks
    "select_tracks": "query",
    # Derived files
    "cache_folder": "cache",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
