"""Pictures as matplotlib figures, without a display and without pyplot. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # What a variant does to predicted tracks
    "Panel": "tracks",
    "choose_panels": "tracks",
    "plot_variant": "tracks",
    # All predictions of a place
    "plot_outputs": "outputs",
    "draw_contact_map": "contact_map",
    "draw_arcs": "arcs",
    # Any region of a store, and its parts from xarray
    "plot_store": "store_view",
    "save": "store_view",
    "read_window": "windows",
    "draw_track": "signal",
    "draw_sites": "sites",
    "draw_sashimi": "sashimi",
    "draw_contacts": "contact_map",
    "draw_annotation": "transcripts",
    "draw_overlay": "overlay",
    "draw_difference": "overlay",
    "draw_contact_difference": "contact_map",
    "to_reference": "indels",
    "mark_variant": "indels",
    "as_signal": "inputs",
    "as_junctions": "inputs",
    # Bases
    "draw_logo": "logo",
    "draw_allele_logos": "allele_logos",
    "draw_mutations": "mutations",
    # One figure of many components, by the names of the official client
    "plot": "components.figure",
    "EmptyComponent": "components.row",
    "Tracks": "components.tracks",
    "OverlaidTracks": "components.overlays",
    "Difference": "components.overlays",
    "ContactMaps": "components.contacts",
    "ContactMapsDiff": "components.contacts",
    "Sashimi": "components.junctions",
    "TranscriptAnnotation": "components.transcripts",
    "SeqLogo": "components.bases",
    "AlleleLogos": "components.bases",
    "Mutations": "components.bases",
    "IntervalAnnotation": "components.annotations",
    "VariantAnnotation": "components.annotations",
    # Genes
    "GeneModel": "transcripts",
    "gene_models": "transcripts",
    "draw_genes": "transcripts",
    "draw_models": "transcripts",
    "read_coding": "coding",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
