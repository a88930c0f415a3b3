"""Names and titles of the evaluations that come as files, in the order of the paper's tables; a test holds them equal.

Apart from the files, so that `agenome` need not read fifty of them to start.
"""

# Effects of variants, nothing learnt on top.
VARIANTS = {
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
    "mpra_hnf4a_effect": "Effects of variants on the HNF4A promoter (saturation mutagenesis)",
    "vexseq_delta_psi": "Changes of exon inclusion in minigenes (Vex-seq), from the constructs alone",
}
# Genome tracks.
TRACKS = {
    "splice_site_classification_gtf": "Annotated splice sites among all bases",
    "splice_site_classification_gtex": "Splice sites of the annotation and of GTEx among all bases",
    "splice_junction_classification": "Pairs of used splice sites that reads join among those that none joins",
    "splice_site_usage": "How often a tissue uses a splice site",
    "splice_junction_counts": "Reads of observed splice junctions",
    "splice_junction_ratios": "Which partner a splice site is joined to (PSI5, PSI3)",
    "rna_seq_coverage": "RNA-seq coverage at single bases",
    "rna_seq_coverage_log1p": "RNA-seq coverage at single bases, log(1 + x)",
    "gene_expression": "Expression of genes (mean coverage of exons), across genes",
    "gene_expression_specific_across_genes": "Expression of genes against their mean over tracks, across genes",
    "gene_expression_specific_across_tracks": "Expression against the mean over tracks, across tracks of each gene",
    "borzoi_rna_seq": "Borzoi's RNA-seq tracks in bins of 32 bp",
    "borzoi_cage": "Borzoi's CAGE tracks in bins of 32 bp",
    "borzoi_accessibility": "Borzoi's DNase-seq and ATAC-seq tracks in bins of 32 bp",
    "borzoi_chip": "Borzoi's ChIP-seq tracks in bins of 32 bp",
    "enformer_cage": "Enformer's CAGE tracks in bins of 128 bp",
    "enformer_chromatin": "Enformer's DNase-seq, ATAC-seq and ChIP-seq tracks in bins of 128 bp",
    "procap_track": "PRO-cap signal at single bases of peaks",
    "procap_counts": "Total PRO-cap signal in peaks",
    "procap_profile": "Shape of the PRO-cap signal in peaks",
    "atac_profile": "Shape of the ATAC-seq signal in peaks",
    "dnase_profile": "Shape of the DNase-seq signal in peaks",
    "contact_maps": "Contact maps of 1 Mb",
    "contact_maps_difference": "Differences between the contact maps of two cell types",
}
# Learnt on top of scores, groups held out.
SUPERVISED = {
    "splicing_outliers_ensemble": "Rare variants at splicing outliers (GTEx), ensemble of splicing scores",
    "eqtl_causality_forest": "Fine-mapped eQTLs against matched variants, random forest on all scorers, by tissue",
    "enhancer_gene_supervised": "Elements that regulate a gene under CRISPRi, learnt from rE2G-like features and ours",
    "cagi5_mpra_lasso": "Saturation mutagenesis MPRAs (CAGI5), LASSO on features of all modalities, mean over loci",
}
# Links between elements and genes.
LINKS = {
    "enhancer_gene_linking": "Elements that regulate a gene under CRISPRi (ENCODE-rE2G, K562), zero-shot",
}
# Directions of effects of credible sets.
DIRECTIONS = {
    "gwas_direction": "Credible sets for which a gene's direction of effect is known",
}
