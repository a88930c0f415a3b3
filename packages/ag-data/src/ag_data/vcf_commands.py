"""`agenome vcf`: what is wrong with a variant file, and a repaired one."""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ag_data.variants import Call

vcf = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
INPUT = Annotated[pathlib.Path, typer.Argument(help="variants: .vcf, .vcf.gz or .bcf")]
FASTA = Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")]
WINDOW = Annotated[int, typer.Option(min=2, help="input length of the model, in bp: alleles may have half of it")]
JSON = Annotated[bool, typer.Option("--json", help="result as JSON on stdout")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]
# The published model's.
DEFAULT_WINDOW = 1 << 20


@vcf.callback()
def _vcf() -> None:
    """Look over variant files before they are scored, and repair them."""


@vcf.command()
def doctor(
    variants: INPUT,
    fasta: FASTA,
    window: WINDOW = DEFAULT_WINDOW,
    output: Annotated[pathlib.Path | None, typer.Option("-o", "--output", help="the report as text or .json")] = None,
    json_: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Tells which alleles will not be scored as they should, why, and what helps."""
    from rich.console import Console

    from ag_data.fasta import Fasta
    from ag_data.vcf.doctor import examine_vcf

    with _count(Console(stderr=True, quiet=quiet), "reading") as progress:
        report = examine_vcf(variants, Fasta(fasta), window // 2, progress)
    as_json = json.dumps(report.to_dict(), indent=1)
    if output is not None:
        output.write_text(f"{as_json if output.suffix == '.json' else report}\n")
    typer.echo(as_json if json_ else str(report))


@vcf.command()
def repair(
    variants: INPUT,
    fasta: FASTA,
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help=".vcf or .vcf.gz")],
    window: WINDOW = DEFAULT_WINDOW,
    json_: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Writes every allele as a record of its own: left-aligned, spelt out, with REF as the genome has it, sorted."""
    from rich.console import Console

    from ag_data.fasta import Fasta
    from ag_data.vcf.writer import write_repaired

    console = Console(stderr=True, quiet=quiet)
    with _count(console, "repairing") as progress:
        statuses, repairs = write_repaired(variants, output, Fasta(fasta), window // 2, progress)
    counts = {str(status): count for status, count in statuses.most_common()}
    for name, found in (("statuses", counts), ("repairs", dict(repairs.most_common()))):
        text = ", ".join(f"{key} {count:,}" for key, count in found.items())
        console.print(f"{name}: {text or 'none'}", highlight=False)
    console.print(f"-> {output}", highlight=False, markup=False, soft_wrap=True)
    if json_:
        print(json.dumps({"output": str(output), "statuses": counts, "repairs": dict(repairs)}, indent=1))


@contextlib.contextmanager
def _count(console, what: str) -> Iterator[Callable[[Iterable["Call"]], Iterator["Call"]]]:
    """Shows on stderr how many alleles went by; silent when stderr is not a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} alleles"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=console.quiet or not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def watch(calls: Iterable["Call"]) -> Iterator["Call"]:
            number = 0
            for number, call in enumerate(calls, 1):
                if number % 1024 == 0:
                    progress.update(task, completed=number)
                yield call
            progress.update(task, completed=number)

        yield watch
