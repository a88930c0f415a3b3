"""Modalities, their track metadata and the embedded model. This file is the table of contents."""

from ag_core.lazy import lazy_names

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
    # The published model: its description, its parameter tree in and out
    "official_spec": "official",
    "import_tree": "official",
    "export_tree": "official",
    # The embedded model
    "mini": "weights",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
