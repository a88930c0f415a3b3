"""Pictures as matplotlib figures, without a display and without pyplot. This file is the table of contents."""

import importlib

_NAMES = {
    # What a variant does to predicted tracks
    "Panel": "tracks",
    "choose_panels": "tracks",
    "plot_variant": "tracks",
    # Genes
    "GeneModel": "transcripts",
    "gene_models": "transcripts",
    "draw_genes": "transcripts",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
