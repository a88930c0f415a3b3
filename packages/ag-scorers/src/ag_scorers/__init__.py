"""Variant scorers and the engine that drives them. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # Scoring whole files
    "score": "scoring",
    "open_engine": "scoring",
    "Engine": "engine",
    "Result": "results",
    "ScorerResult": "results",
    "ScoringRun": "scoring_run",
    "verify": "verification",
    "Parity": "parity",
    # Scorers
    "CenterMaskScorer": "center_mask",
    "Aggregation": "center_mask",
    "GeneMaskLFCScorer": "gene_mask",
    "GeneMaskActiveScorer": "gene_mask",
    "RECOMMENDED": "recommended",
    "GeneMaskSplicingScorer": "splicing",
    "SpliceJunctionScorer": "junctions",
    "CompositeSplicingScorer": "composite",
    "PolyadenylationScorer": "polyadenylation",
    "ContactMapScorer": "contact_map",
    "parse_scorer": "recommended",
    # Intervals, without a variant
    "score_interval": "interval_scoring",
    "GeneMaskScorer": "interval_gene_mask",
    # Indels
    "Alignment": "align",
    "alignment": "align",
    "align_alternate": "align",
    "stitch_codes": "stitch",
    "stitched_embeddings": "stitch",
    # Haplotypes
    "score_haplotype": "haplotypes",
    "score_blocks": "haplotypes",
    "HaplotypeScores": "haplotypes",
    # Predictions
    "predict_variant": "prediction",
    "line_up": "predictor.line_up",
    "predict": "predictor.api",
    "write_predictions": "predictor.api",
    # Attributions
    "attribute": "attribution.api",
    "write_attributions": "attribution.files",
    "PythonTarget": "attribution.target",
    # Mutagenesis
    "mutagenise": "mutagenesis.saturation",
    "Changes": "mutagenesis.saturation",
    "ism_variants": "mutagenesis.mutations",
    "plot_effects": "mutagenesis.picture",
    "ism_matrix": "mutagenesis.contributions",
    "centred": "mutagenesis.contributions",
    "as_letters": "mutagenesis.contributions",
    # Reports
    "Examiner": "report.examination",
    # Variants beside others
    "matched_controls": "controls.matched",
    "compare": "controls.comparison",
    "plot_comparison": "controls.picture",
    "mechanisms": "controls.mechanism",
    # Other models, other tools
    "CallableModel": "callable_model",
    "CallableEngine": "callable_model",
    "as_function": "model_function",
    # Calibration
    "load_calibration": "calibration",
    "calibrate_result": "calibration",
    "Calibration": "calibration",
    "plot_calibration": "calibration_plot",
    # Output
    "open_writer": "outputs",
    "to_datatree": "dataset",
    "to_anndata": "anndata_scores",
    "Tidy": "tidy",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
