"""Predictions and tracks of stores as files: zarr, and what other tools read. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # Trees of predictions
    "Block": "tree",
    "MemoryWriter": "tree",
    "leaves": "tree",
    "summary": "tree",
    # Zarr
    "StoreWriter": "zarr_store",
    "open_predictions": "zarr_store",
    # Formats of other tools
    "write_bigwigs": "bigwig",
    "write_bedgraphs": "bedgraph",
    "write_bedpe": "junctions",
    "write_bed12": "junction_bed",
    "write_cooler": "contact_maps",
    # Measured tracks
    "export_store": "store_tracks",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
