"""`agenome tracks`: stores of measured tracks."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ag_data.modality_job import Progress

tracks = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
STORE = Annotated[pathlib.Path, typer.Argument(help="folder made by `agenome tracks import`")]
JSON = Annotated[bool, typer.Option("--json", help="result as JSON on stdout")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]


@tracks.callback()
def _tracks() -> None:
    """Make, check, describe and export stores of measured tracks."""


@tracks.command("import")
def import_(
    manifest: Annotated[
        pathlib.Path, typer.Argument(help="YAML: genome, organism and files; or targets.txt of Borzoi")
    ],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help="store to make, or to add to (.zarr)")],
    genome: Annotated[pathlib.Path | None, typer.Option(help="FASTA; instead of the manifest's")] = None,
    organism: Annotated[str | None, typer.Option(help="instead of the manifest's")] = None,
    chromosomes: Annotated[str, typer.Option(help="such as chr20,chr22; instead of the manifest's")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="replace tracks of the same name")] = False,
    threads: Annotated[int, typer.Option(min=1, help="files read at a time")] = 2,
    plan: Annotated[bool, typer.Option("--plan", help="open all files, say what would be written, and stop")] = False,
    json_: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Makes a track store of a manifest's files, or adds them to one; interrupted, it goes on where it stopped."""
    from rich.console import Console

    from ag_data.ingest import import_tracks, plan_import
    from ag_data.manifest import read_manifest

    console = Console(stderr=True, quiet=quiet)
    chosen = [name.strip() for name in chromosomes.split(",") if name.strip()]
    read = read_manifest(manifest, genome=genome, organism=organism, chromosomes=chosen or None)
    if plan:
        rows = plan_import(read)
        print(json.dumps(rows, indent=1)) if json_ else _print_table(rows)
        return
    with _bar(console) as progress:
        done = import_tracks(read, output, replace=replace, threads=threads, progress=progress)
    added = ", ".join(f"{count} of {modality}" for modality, count in done.added.items()) or "nothing"
    rest = f"; {done.unchanged} were there already" if done.unchanged else ""
    console.print(f"added {added}{rest} -> {output}", highlight=False, markup=False, soft_wrap=True)
    if json_:
        print(json.dumps({"store": str(output), "added": dict(done.added), "unchanged": done.unchanged}, indent=1))


@tracks.command()
def info(
    store: STORE,
    modality: Annotated[str | None, typer.Argument(help="list the tracks of this modality")] = None,
    json_: JSON = False,
) -> None:
    """What is in a store; with a modality, its tracks and what was counted of each."""
    from ag_data.store import open_store
    from ag_data.store_info import describe_modality, describe_store

    opened = open_store(store)
    rows = describe_store(opened) if modality is None else describe_modality(opened, modality)
    if json_:
        print(json.dumps({"store": str(store), **opened.attrs, "rows": rows}, indent=1))
        return
    about = " ".join(filter(None, (opened.organism, opened.build)))
    typer.echo(f"{store}: {about}, {len(opened.chromosomes)} chromosomes", err=True)
    _print_table(rows)


@tracks.command()
def doctor(
    subject: Annotated[pathlib.Path, typer.Argument(help="a manifest (before the import) or a store (after it)")],
    genome: Annotated[pathlib.Path | None, typer.Option(help="FASTA; instead of the manifest's")] = None,
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation, to check strands by")] = None,
    train: Annotated[pathlib.Path | None, typer.Option(help="BED of training windows")] = None,
    held_out: Annotated[pathlib.Path | None, typer.Option(help="BED of windows held out of training")] = None,
    output: Annotated[pathlib.Path | None, typer.Option("-o", "--output", help="findings as .tsv or .parquet")] = None,
    json_: JSON = False,
) -> None:
    """Looks for what is wrong with data before it costs a training run; exit code 2 if something is."""
    from ag_data.doctor import examine, write_report

    report = examine(subject, genome=genome, annotation=gtf, train=train, held_out=held_out)
    if output is not None:
        write_report(report, output)
    if json_:
        found = report.table().to_dict(orient="records")
        print(json.dumps({"findings": found, "examined": dict(report.examined), "not checked": report.notes}, indent=1))
    else:
        typer.echo(str(report))
    raise typer.Exit(2 if report.worst == "error" else 0)


@tracks.command()
def export(
    store: STORE,
    output: Annotated[
        pathlib.Path,
        typer.Option("-o", "--output", help=".bw, .bedpe[.gz], .cool, .mcool, or no suffix for a folder of bigWigs"),
    ],
    modality: Annotated[str | None, typer.Option(help="default: all that fit the format")] = None,
    query: Annotated[str, typer.Option("--tracks", help='query over track metadata, such as "K562 & CTCF"')] = "",
    chromosomes: Annotated[str, typer.Option(help="such as chr20,chr22; default: all")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace an output that is there")] = False,
    json_: JSON = False,
) -> None:
    """Writes tracks of a store as bigWig, BEDPE or cooler."""
    from ag_data.export.store_tracks import export_store
    from ag_data.store import open_store

    chosen = [name.strip() for name in chromosomes.split(",") if name.strip()] or None
    written = export_store(open_store(store), output, modality=modality, tracks=query, chromosomes=chosen, force=force)
    shown = ", ".join(map(str, written[:3])) + (f" and {len(written) - 3:,} more" if len(written) > 3 else "")
    typer.echo(f"-> {shown}", err=True)
    if json_:
        print(json.dumps({"written": [str(path) for path in written]}, indent=1))


@tracks.command()
def plot(
    store: STORE,
    region: Annotated[str, typer.Argument(help="such as chr22:36,201,698-36,300,000 (1-based)")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help=".png, .pdf or .svg")],
    gtf: Annotated[pathlib.Path | None, typer.Option(help="genes to draw")] = None,
    modalities: Annotated[str, typer.Option(help="such as rna_seq,cage; default: all")] = "",
    query: Annotated[str, typer.Option("--tracks", help='query over track metadata, such as "K562 & CTCF"')] = "",
    title: str = "",
) -> None:
    """Draws a region of a store: signal, genes, junctions, contact maps."""
    from ag_core.errors import InputError
    from ag_core.genome import Interval

    from ag_data.annotation import read_gtf
    from ag_data.plot import plot_store, save
    from ag_data.store import open_store

    try:
        interval = Interval.from_region(region)
    except ValueError as error:
        raise InputError(str(error)) from error
    chosen = [name.strip() for name in modalities.split(",") if name.strip()] or None
    figure = plot_store(
        open_store(store),
        interval,
        modalities=chosen,
        tracks=query,
        annotation=read_gtf(gtf) if gtf else None,
        title=title or None,
    )
    save(figure, output)
    typer.echo(f"-> {output}", err=True)


@contextlib.contextmanager
def _bar(console) -> Iterator["Progress"]:
    """A bar on stderr over the base pairs; silent when stderr is not a terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console.quiet or not console.is_terminal) as progress:
        task = progress.add_task("opening files", total=None)
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)


def _print_table(rows: list[dict]) -> None:
    """Columns side by side, never cut: pipe it, or make the window wider."""
    import pandas as pd

    table = pd.DataFrame([{key: _text(value) for key, value in row.items()} for row in rows])
    typer.echo(table.to_string(index=False))


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
