"""Parts of a figure over one interval, by the names of the official `plot_components`. The table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    "plot": "figure",
    "Row": "row",
    "Component": "row",
    "EmptyComponent": "row",
    # Signal
    "Tracks": "tracks",
    "OverlaidTracks": "overlays",
    "Difference": "overlays",
    # Maps, junctions, genes, bases
    "ContactMaps": "contacts",
    "ContactMapsDiff": "contacts",
    "Sashimi": "junctions",
    "TranscriptAnnotation": "transcripts",
    "SeqLogo": "bases",
    "AlleleLogos": "bases",
    "Mutations": "bases",
    # Over all of them
    "IntervalAnnotation": "annotations",
    "VariantAnnotation": "annotations",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
