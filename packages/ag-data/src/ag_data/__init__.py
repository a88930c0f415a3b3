"""Genomes, annotations, variants and measured tracks, in and out. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # Reference sequence
    "Fasta": "fasta",
    "Genome": "genome_store",
    "open_genome": "genome_store",
    # Genes
    "Annotation": "annotation",
    "read_gtf": "annotation",
    "SpliceSites": "splice_sites",
    "annotated_sites": "splice_sites",
    "read_splice_sites": "splice_sites",
    "PolyadenylationSites": "polyadenylation",
    "read_polyadenylation": "polyadenylation",
    # Variants
    "Call": "variants",
    "Status": "variants",
    "Header": "variants",
    "read_header": "variants",
    "read_variants": "variants",
    "check_calls": "variants",
    "ReferenceReport": "reference",
    "reference_report": "reference",
    "phased_blocks": "phased",
    "read_genotypes": "phased",
    "personal_sequence": "personal",
    "reference_positions": "personal",
    "examine_vcf": "vcf.doctor",
    "repair_calls": "vcf.repair",
    "write_repaired": "vcf.writer",
    # Measured tracks
    "Manifest": "manifest",
    "read_manifest": "manifest",
    "import_tracks": "ingest",
    "TrackStore": "store",
    "open_store": "store",
    # Windows and splits
    "Blacklist": "blacklist",
    "read_blacklist": "blacklist",
    "find_leaks": "folds",
    "hold_out": "folds",
    "read_folds": "folds",
    "split_blocks": "folds",
    "split_folds": "folds",
    "split_labels": "folds",
    "read_peaks": "regions",
    "read_regions": "regions",
    "Anywhere": "sampling",
    "ByGene": "sampling",
    "ByPeak": "sampling",
    "Mix": "sampling",
    "Tiled": "sampling",
    "Uniform": "sampling",
    # Batches
    "Augment": "augment",
    "Mutations": "mutate",
    "Loader": "loader",
    "Stream": "streams",
    "Wanted": "streams",
    "select_tracks": "query",
    # Derived files
    "cache_folder": "cache",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
