"""`agenome tracks`: stores of measured tracks."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ag_data.modality_job import Progress

tracks = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
STORE = Annotated[pathlib.Path, typer.Argument(help="folder made by `agenome tracks import`")]
JSON = Annotated[bool, typer.Option("--json", help="result as JSON on stdout")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]


@tracks.callback()
def _tracks() -> None:
    """Make, check, describe and export stores of measured tracks."""


@tracks.command("import")
def import_(
    manifest: Annotated[pathlib.Path, typer.Argument(help="YAML: genome, organism and files")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help="store to make, or to add to (.zarr)")],
    genome: Annotated[pathlib.Path | None, typer.Option(help="FASTA; instead of the manifest's")] = None,
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
    read = read_manifest(manifest, genome=genome, chromosomes=chosen or None)
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
    typer.echo(f"{store}: {opened.organism} {opened.build}, {len(opened.chromosomes)} chromosomes", err=True)
    _print_table(rows)


@contextlib.contextmanager
def _bar(console) -> Iterator["Progress"]:
    """A bar on stderr over the base pairs; silent when stderr is not a terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console.quiet or not console.is_terminal) as progress:
        task = progress.add_task("opening files", total=None)
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)


def _print_table(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*(rows[0] if rows else ()), box=None, header_style="bold")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    Console(soft_wrap=True).print(table)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
