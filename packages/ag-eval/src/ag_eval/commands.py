"""`agenome eval`: a benchmark from the command line. Tables go to stderr, data to stdout or a file."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

# Rows for people; the rest is in the file.
_MOST_ROWS = 24


def evaluate(
    name: Annotated[str | None, typer.Argument(help="benchmark; without it, lists what there is")] = None,
    model: Annotated[str, typer.Option(help="name of a model, or folder of a checkpoint")] = "mini",
    fasta: Annotated[pathlib.Path | None, typer.Option(help="reference sequence of the benchmark's assembly")] = None,
    store: Annotated[pathlib.Path | None, typer.Option(help="measured tracks, of `agenome tracks import`")] = None,
    windows: Annotated[pathlib.Path | None, typer.Option(help="BED file of held-out windows (column 4: split)")] = None,
    split: Annotated[str | None, typer.Option(help="label of the windows that count")] = None,
    length: Annotated[int | None, typer.Option(help="of windows in bp; by default the model's")] = None,
    peaks: Annotated[
        pathlib.Path | None, typer.Option(help="peaks: BED, narrowPeak, or the table of chip_peaks")
    ] = None,
    vcf: Annotated[pathlib.Path | None, typer.Option(help="variants with measured effects in INFO")] = None,
    table: Annotated[pathlib.Path | None, typer.Option(help="table of variants, links or credible sets")] = None,
    eqtls: Annotated[pathlib.Path | None, typer.Option(help="eQTLs that thresholds are set by")] = None,
    file: Annotated[pathlib.Path | None, typer.Option(help="YAML that describes data of yours")] = None,
    chain: Annotated[pathlib.Path | None, typer.Option(help="over.chain to what else the model was trained on")] = None,
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation, for scores of genes")] = None,
    polya: Annotated[pathlib.Path | None, typer.Option(help="polyadenylation sites, of `agenome genome polya`")] = None,
    peer: Annotated[
        list[str] | None, typer.Option(help="also measure this one (`agenome plugins`); repeatable")
    ] = None,
    region: Annotated[str | None, typer.Option(help="chromosome, or chr1:1,001-2,000 (1-based)")] = None,
    output: Annotated[pathlib.Path | None, typer.Option("--output", "-o", help=".parquet or .json file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="write the results as JSON to stdout")] = False,
) -> None:
    """Measures a model against held-out facts, with confidence intervals and baselines.

    For example: agenome eval mpra_hnf4a --fasta examples/data/HNF4A.hg38.fa.gz --vcf
    examples/data/HNF4A.mpra.vcf.gz
    """
    # Here, so that `agenome eval --help` answers at once.
    from ag_core.checkpoint import load

    from ag_eval.benchmark_run import check_data, create_benchmark, run_benchmark
    from ag_eval.results import to_json, to_table, write_results
    from ag_eval.suites.commands import list_all

    console = Console(stderr=True)
    if name is None:
        list_all(as_json)
        return
    given = {
        "fasta": fasta,
        "store": store,
        "windows": windows,
        "peaks": peaks,
        "vcf": vcf,
        "table": table,
        "eqtls": eqtls,
        "gtf": gtf,
        "polya": polya,
        "chain": chain,
        "region": region,
    }
    data = {key: value for key, value in given.items() if value is not None} | {"peers": peer or []}
    chosen = (("file", file), ("split", split), ("length", length))
    options = {key: value for key, value in chosen if value is not None}
    check_data(create_benchmark(name, **options), name, {**data, **options})  # before the model is loaded
    results = run_benchmark(name, load(model), data, **options)
    console.print(_table(to_table(results), results.attrs))
    console.print(f"{results.attrs['citation']}. {results.attrs['licence']}", style="dim", highlight=False)
    if output is not None:
        write_results(results, output)
        console.print(f"{results.sizes['case']} cases in {output}", highlight=False)
    if as_json:
        print(json.dumps(to_json(results), indent=1))


def _table(cases: "pd.DataFrame", attributes: Mapping[str, Any]) -> Table:
    shown = cases.head(_MOST_ROWS)
    hidden = len(cases) - len(shown)
    table = Table(
        title=f"{attributes['benchmark']}, model {attributes['model']} ({attributes['digest'][:12]})",
        caption=f"and {hidden} more cases: write them with -o or --json" if hidden else None,
    )
    for column in ("metric", "group", "model"):
        table.add_column(column)
    for column in ("value", "95 % interval"):
        table.add_column(column, justify="right")
    rows: Iterable[Any] = shown.itertuples()
    for row in rows:
        interval = "" if row.low != row.low else f"{row.low:.3f} to {row.high:.3f}"
        table.add_row(row.metric, row.group, row.model, f"{row.value:.4f}", interval)
    return table
