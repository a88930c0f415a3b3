"""What ag-scorers offers to the registry."""

from ag_core.hookspecs import Plugin, hookimpl


@hookimpl
def ag_scorers():
    return [
        Plugin("center_mask", "ag_scorers.center_mask:CenterMaskScorer", "a window centred on the variant"),
        Plugin("gene_mask_lfc", "ag_scorers.gene_mask:GeneMaskLFCScorer", "log fold change over a gene's exons"),
        Plugin("gene_mask_active", "ag_scorers.gene_mask:GeneMaskActiveScorer", "larger allele over a gene's exons"),
    ]


@hookimpl
def ag_commands():
    return [Plugin("score", "ag_scorers.commands:score", "score the variants of a VCF")]
