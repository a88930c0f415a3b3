"""What ag-eval offers to the registry: benchmarks, and the command that runs them."""

from ag_core.hookspecs import Plugin, hookimpl

# Evaluations of variant effects, in the order of the paper's table; the files in `evaluations/` say the rest.
VARIANT_EVALUATIONS = {
    "clinvar_noncoding": "ClinVar, deep intronic (more than 6 bp) and synonymous (more than 3 bp)",
    "clinvar_splice_site_region": "ClinVar, splice-site region (at most 6 bp intronic, 3 exonic)",
    "clinvar_missense": "ClinVar, missense that AlphaMissense calls likely benign",
    "sqtl_variant_causality": "Fine-mapped splicing QTLs against matched variants, within 10 kb",
    "mfass_splicing": "SNVs that disrupt an exon in a minigene (MFASS)",
    "splicing_outliers": "Rare variants at splicing outliers (GTEx), zero-shot",
    "eqtl_variant_coefficient": "Signed effects of fine-mapped eQTLs",
    "eqtl_variant_sign": "Direction of fine-mapped eQTLs",
    "eqtl_variant_causality": "Fine-mapped eQTLs (PIP above 0.9) against matched variants (below 0.1)",
    "paqtl_variant_causality": "Polyadenylation QTLs against matched variants, within 10 kb",
    "caqtl_african_causality": "Accessibility QTLs of six African populations against other variants",
    "caqtl_european_causality": "Accessibility QTLs of European LCLs against other variants",
    "dsqtl_yoruba_causality": "DNase sensitivity QTLs of Yoruba LCLs against other variants",
    "caqtl_african_coefficient": "Effects of accessibility QTLs, six African populations",
    "caqtl_european_coefficient": "Effects of accessibility QTLs, European LCLs",
    "dsqtl_yoruba_coefficient": "Effects of DNase sensitivity QTLs, Yoruba LCLs",
    "caqtl_microglia_coefficient": "Effects of accessibility QTLs, microglia",
    "caqtl_smc_coefficient": "Effects of accessibility QTLs, coronary smooth muscle",
    "bqtl_spi1_coefficient": "Effects of SPI1 binding QTLs",
    "bqtl_spi1_causality": "SPI1 binding QTLs against other variants",
    "cagi5_mpra": "Saturation mutagenesis MPRAs (CAGI5), DNase of the cell type, mean over loci",
}


@hookimpl
def ag_benchmarks():
    of_variants = [
        Plugin(name, "ag_eval.variant_evaluation:VariantEvaluation", title, {"file": name})
        for name, title in VARIANT_EVALUATIONS.items()
    ]
    return [
        *of_variants,
        Plugin(
            "variant_table",
            "ag_eval.variant_evaluation:VariantEvaluation",
            "any table of variants with labels or effects, described by a YAML file",
        ),
        Plugin(
            "chip_peaks",
            "ag_eval.benchmarks.chip_peaks:ChipPeaks",
            "held-out TF ChIP-seq peaks, found among 128-bp bins (chr22)",
            {"region": "chr22"},
        ),
        Plugin(
            "mpra_hnf4a",
            "ag_eval.benchmarks.measured:MeasuredVariants",
            "measured effects of variants in the HNF4A promoter",
            {
                "name": "mpra_hnf4a",
                "effect": "MPRA_EFFECT",
                "p_value": "MPRA_P",
                "citation": "Kircher et al. 2019, Nat. Commun. 10:3583",
                "licence": "CC BY 4.0",
            },
        ),
    ]


@hookimpl
def ag_peers():
    return [Plugin("gc_change", "ag_eval.peers.gc_change:GcChange", "G and C that a variant adds")]


@hookimpl
def ag_commands():
    return [
        Plugin("eval", "ag_eval.commands:evaluate", "measure a model against held-out facts"),
        Plugin("eval run", "ag_eval.suite_commands:run", "run a suite of benchmarks: report, pictures, card"),
        Plugin("eval list", "ag_eval.suite_commands:list_all", "what benchmarks and suites there are"),
        Plugin("eval compare", "ag_eval.suite_commands:compare", "two runs of a suite side by side"),
    ]
