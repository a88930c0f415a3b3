"""Modalities, their track metadata and the embedded model. This file is the table of contents."""

import importlib

_NAMES = {
    # Heads
    "GenomeTracksHead": "tracks",
    "MultiOrganismLinear": "linear",
    # Scaling and losses
    "scale_targets": "scaling",
    "unscale_predictions": "scaling",
    "track_loss": "losses",
    # Track metadata of the published model
    "official_tracks": "metadata",
    # The embedded model
    "mini": "weights",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
