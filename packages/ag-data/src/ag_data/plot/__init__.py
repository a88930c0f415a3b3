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
    # Genes
    "GeneModel": "transcripts",
    "gene_models": "transcripts",
    "draw_genes": "transcripts",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
