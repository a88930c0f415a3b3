"""What this distribution offers. Import nothing heavy here: every `agenome` command reads this file."""

from ag_core.hookspecs import Plugin, hookimpl

HERE = "ag_example_plugin"


@hookimpl
def ag_heads():
    return [Plugin("methylation", f"{HERE}.methylation:MethylationHead", "fraction of methylated CpG, 128 bp")]


@hookimpl
def ag_scorers():
    return [Plugin("max_abs_diff", f"{HERE}.max_abs_diff:MaxAbsDiffScorer", "largest change near the variant")]


@hookimpl
def ag_sources():
    return [Plugin("npz_signal", f"{HERE}.npz_signal:NpzSource", "numpy arrays, one for each chromosome")]
