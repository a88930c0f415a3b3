"""What ag-eval offers to the registry: benchmarks, and the command that runs them."""

from ag_core.hookspecs import Plugin, hookimpl


@hookimpl
def ag_benchmarks():
    return [
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
def ag_commands():
    return [Plugin("eval", "ag_eval.commands:evaluate", "measure a model against held-out facts")]
