"""What ag-scorers offers to the registry."""

from ag_core.hookspecs import Plugin, hookimpl


@hookimpl
def ag_scorers():
    return [
        Plugin("center_mask", "ag_scorers.center_mask:CenterMaskScorer", "a window centred on the variant"),
        Plugin("gene_mask_lfc", "ag_scorers.gene_mask:GeneMaskLFCScorer", "log fold change over a gene's exons"),
        Plugin("gene_mask_active", "ag_scorers.gene_mask:GeneMaskActiveScorer", "larger allele over a gene's exons"),
        Plugin("gene_mask_splicing", "ag_scorers.splicing:GeneMaskSplicingScorer", "largest change within a gene"),
        Plugin("splice_junction", "ag_scorers.junctions:SpliceJunctionScorer", "junctions that change most in a gene"),
        Plugin("composite_splicing", "ag_scorers.composite:CompositeSplicingScorer", "sites, usage, junctions in one"),
        Plugin("polyadenylation", "ag_scorers.polyadenylation:PolyadenylationScorer", "shift between a gene's 3' ends"),
        Plugin("contact_map", "ag_scorers.contact_map:ContactMapScorer", "contacts of the variant's bin"),
        Plugin("interval_gene_mask", "ag_scorers.interval_gene_mask:GeneMaskScorer", "an interval: a gene's exons"),
    ]


@hookimpl
def ag_commands():
    return [
        Plugin("score", "ag_scorers.commands:score", "score the variants of a VCF"),
        Plugin("calibrate", "ag_scorers.calibration_commands:calibrate", "tables of how common variants score"),
        Plugin("calibrate plot", "ag_scorers.calibration_commands:plot", "draw a calibration table"),
        Plugin("haplotypes", "ag_scorers.haplotype_commands:haplotypes", "score a sample's phased blocks jointly"),
        Plugin("score verify", "ag_scorers.verify_command:verify", "score rows of an output again, name what differs"),
        Plugin("controls", "ag_scorers.controls.commands:controls", "a variant beside others of its kind"),
        Plugin("mechanism", "ag_scorers.controls.commands:mechanism", "what kind of effect each variant has"),
        Plugin("ism", "ag_scorers.mutagenesis.command:ism", "what every change of a region does"),
        Plugin("report variant", "ag_scorers.report.command:variant", "a page on what variants do"),
        Plugin("predict", "ag_scorers.predictor.command:predict", "tracks, contact maps and junctions of a place"),
        Plugin("browse", "ag_scorers.browser.command:browse", "predictions as a page, an IGV session, a track hub"),
        Plugin("serve", "ag_scorers.serve.command:serve", "a model behind gRPC, for the official client, and HTTP"),
        Plugin("mcp", "ag_scorers.serve.mcp_command:mcp", "lets an assistant ask a model (Model Context Protocol)"),
        Plugin("attribute", "ag_scorers.attribution.command:attribute", "bases that an output of the model rests on"),
        Plugin("plugin new", "ag_scorers.kit.commands:new", "write a package with a plugin to start from"),
        Plugin("plugin test", "ag_scorers.kit.commands:check", "run the laws that a plugin of its kind keeps"),
    ]
