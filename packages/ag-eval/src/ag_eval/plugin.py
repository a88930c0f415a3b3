"""What ag-eval offers to the registry: benchmarks, and the command that runs them."""

from ag_core.hookspecs import Plugin, hookimpl

from ag_eval.evaluation_names import DIRECTIONS, LINKS, SUPERVISED, TRACKS, VARIANTS

# What runs the evaluations of each kind.
KINDS = (
    (VARIANTS, "ag_eval.variants.evaluation:VariantEvaluation"),
    (TRACKS, "ag_eval.tracks.evaluation:TrackEvaluation"),
    (SUPERVISED, "ag_eval.supervised.evaluation:SupervisedEvaluation"),
    (LINKS, "ag_eval.links.evaluation:LinkEvaluation"),
    (DIRECTIONS, "ag_eval.directions.evaluation:GwasDirection"),
)


@hookimpl
def ag_benchmarks():
    return [
        *(Plugin(name, target, title, {"file": name}) for titles, target in KINDS for name, title in titles.items()),
        Plugin(
            "variant_table",
            "ag_eval.variants.evaluation:VariantEvaluation",
            "any table of variants with labels or effects, described by a YAML file",
        ),
        Plugin(
            "tracks",
            "ag_eval.tracks.evaluation:TrackEvaluation",
            "any store of measured tracks, described by a YAML file",
        ),
        Plugin(
            "supervised",
            "ag_eval.supervised.evaluation:SupervisedEvaluation",
            "learning on a model's scores, described by a YAML file",
        ),
        Plugin(
            "paper",
            "ag_eval.suites.settings:Suite",
            "the paper's 24 evaluations of tracks and 26 of variants",
            {"package": "ag_eval", "file": "suites/paper.yaml"},
        ),
        Plugin("links", "ag_eval.links.evaluation:LinkEvaluation", "elements and genes, described by a YAML file"),
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
    return [
        Plugin("gc_change", "ag_eval.peers.gc_change:GcChange", "G and C that a variant adds"),
        Plugin("splice_matrix", "ag_eval.peers.splice_matrix:SpliceMatrix", "weight matrices of donors and acceptors"),
        Plugin(
            "splice_pairs",
            "ag_eval.peers.splice_matrix:SpliceMatrix",
            "as splice_matrix, each base given the one before",
            {"order": 1},
        ),
        Plugin(
            "cispliceai", "ag_eval.peers.cispliceai:CiSpliceAi", "CI-SpliceAI 1.2.2 (CC BY 4.0), if it can run here"
        ),
        Plugin("spliceai", "ag_eval.peers.spliceai:SpliceAi", "SpliceAI 1.3.1 (CC BY-NC models), if it can run here"),
        Plugin("mmsplice", "ag_eval.peers.mmsplice:MmSplice", "MMSplice 2.4.0 (MIT), if it can run here"),
    ]


@hookimpl
def ag_commands():
    return [
        Plugin("eval", "ag_eval.commands:evaluate", "measure a model against held-out facts"),
        Plugin("eval run", "ag_eval.suites.commands:run", "run a suite of benchmarks: report, pictures, card"),
        Plugin("eval list", "ag_eval.suites.commands:list_all", "what benchmarks and suites there are"),
        Plugin("eval compare", "ag_eval.suites.commands:compare", "two runs of a suite side by side"),
    ]
