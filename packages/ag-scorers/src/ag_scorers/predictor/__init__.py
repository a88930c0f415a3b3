"""Predictions of tracks, contact maps and junctions for places of a genome. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    "predict": "api",
    "write_predictions": "api",
    "Predictor": "runner",
    "Place": "places",
    "gather_places": "places",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
