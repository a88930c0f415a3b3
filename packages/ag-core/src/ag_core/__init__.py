"""The minimal core: network, mesh, plugin contract, data shapes. This file is the table of contents."""

from ag_core._version import __version__ as __version__
from ag_core.lazy import lazy_names

_NAMES = {
    # Plugins
    "Plugin": "hookspecs",
    "hookimpl": "hookspecs",
    "registry": "plugins",
    "refresh": "plugins",
    "PluginNotFoundError": "plugins",
    # What plugins implement
    "AbstractHead": "interfaces",
    "AbstractScorer": "interfaces",
    "AbstractIntervalScorer": "interfaces",
    "AbstractSource": "interfaces",
    "AbstractBenchmark": "interfaces",
    "AbstractPeer": "interfaces",
    "Embeddings": "interfaces",
    "Items": "interfaces",
    # Genome coordinates and sequence
    "Interval": "genome",
    "Variant": "genome",
    "VariantFormat": "genome",
    "normalize_variant": "genome",
    "allele_sequences": "sequence",
    "encode": "sequence",
    "one_hot": "sequence",
    "reverse_complement": "sequence",
    # The network
    "BackboneConfig": "config",
    "EmbeddingDims": "config",
    "PRESETS": "config",
    "Backbone": "backbone",
    "Model": "model",
    "fold": "model",
    "training_mode": "model",
    "Precision": "precision",
    "cast": "precision",
    "make_mesh": "mesh",
    # Checkpoints
    "Checkpoint": "checkpoint",
    "HeadSpec": "model_spec",
    "ModelSpec": "model_spec",
    "load": "checkpoint",
    "save": "checkpoint",
    # Data shapes
    "track_table": "schema",
    # Errors
    "InputError": "errors",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES, "__version__")
