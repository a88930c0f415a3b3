"""`agenome eval run`, `list` and `compare`: suites of benchmarks from the command line."""

import json
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    pass


def run(
    suite: Annotated[str, typer.Argument(help="a suite's YAML file, or the name of one that is installed")],
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="folder of the run; the same one goes on")],
    model: Annotated[str, typer.Option(help="name of a model, or folder of a checkpoint")] = "mini",
    as_json: Annotated[bool, typer.Option("--json", help="write the card to stdout")] = False,
) -> None:
    """Runs all benchmarks of a suite, and writes a report with pictures and a card that a second run repeats.

    What cannot run here is named, and the rest goes on; a run that was stopped goes on where it was.
    """
    from ag_core.checkpoint import load

    from ag_eval.suites.card import card_text
    from ag_eval.suites.report import write_report
    from ag_eval.suites.run import run_suite
    from ag_eval.suites.settings import find_suite

    console = Console(stderr=True)
    settings = find_suite(suite)
    loaded = load(model)
    outcomes = run_suite(
        settings,
        loaded,
        output,
        notify=lambda outcome: console.print(
            f"{outcome.name}: {outcome.status}" + (f" ({outcome.note})" if outcome.note else ""), highlight=False
        ),
    )
    command = f"agenome eval run {suite if '/' not in suite else pathlib.Path(suite).name} --model {loaded.spec.name}"
    card = write_report(settings, loaded, outcomes, output, command)
    console.print(f"{output / 'report.html'}, {output / 'card.json'}", highlight=False)
    if as_json:
        print(card_text(card), end="")
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def list_all(as_json: Annotated[bool, typer.Option("--json", help="write the list to stdout")] = False) -> None:
    """Lists benchmarks and suites: what each asks, what data it needs, under which licence."""
    from ag_core.plugins import registry

    from ag_eval.benchmark_run import create_benchmark
    from ag_eval.suites.settings import Suite

    table = Table(title="benchmarks and suites")
    for column in ("name", "what", "needs", "licence"):
        table.add_column(column)
    rows: list[dict[str, Any]] = []
    for name in registry().names("benchmarks"):
        benchmark, summary = create_benchmark(name), registry().get("benchmarks", name).summary
        row: dict[str, Any] = {"name": name, "summary": summary}
        if isinstance(benchmark, Suite):
            row |= {"suite": [entry.name for entry in benchmark.read().benchmarks], "needs": [], "licence": ""}
            summary = f"{summary} (suite of {len(row['suite'])})"
        else:
            row |= {"needs": list(benchmark.needs), "citation": benchmark.citation, "licence": benchmark.licence}
            row["obtain"] = getattr(benchmark, "obtain", "")
        rows.append(row)
        table.add_row(name, summary, " ".join(f"--{need}" for need in row["needs"]), row["licence"])
    Console(stderr=True).print(table)
    if as_json:
        print(json.dumps(rows, indent=1))


def compare(
    one: Annotated[pathlib.Path, typer.Argument(help="folder of a run (agenome eval run -o)")],
    other: Annotated[pathlib.Path, typer.Argument(help="folder of another run of the same suite")],
    as_json: Annotated[bool, typer.Option("--json", help="write the comparison to stdout")] = False,
) -> None:
    """Compares two runs, as of two models: figures side by side, and paired tests where they measured the same rows."""
    from ag_eval.suites.compare import compare_runs

    console = Console(stderr=True)
    found = compare_runs(one, other)
    table = Table(title=f"{found.models[0]} (A) and {found.models[1]} (B)")
    for column in ("benchmark", "metric", "A", "B", "A - B", "95 % interval", "q"):
        table.add_column(column, justify="left" if column in ("benchmark", "metric") else "right")
    for row in found.rows:
        test = next(
            (test for test in found.tests if (test.benchmark, test.metric) == (row.benchmark, row.metric)), None
        )
        paired = (
            ("", "")
            if test is None
            else (f"{test.found.estimate.low:+.3f} to {test.found.estimate.high:+.3f}", f"{test.q:.3g}")
        )
        table.add_row(
            row.benchmark, row.metric, f"{row.one:.4f}", f"{row.other:.4f}", f"{row.one - row.other:+.4f}", *paired
        )
    console.print(table)
    for note in found.notes:
        console.print(note, highlight=False)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
