"""`agenome calibrate` and `agenome calibrate plot`."""

import json
import pathlib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ag_scorers import options

if TYPE_CHECKING:
    from rich.console import Console

    from ag_scorers.calibration_run import Piece

FEWEST = 1000


def calibrate(
    inputs: Annotated[
        list[pathlib.Path],
        typer.Argument(help="common variants: .vcf, .vcf.gz or .bcf; with --merge, the .sketch files to join"),
    ],
    output: Annotated[
        pathlib.Path, typer.Option("-o", "--output", help=".parquet; or .sketch, a piece to be merged with others")
    ],
    fasta: Annotated[pathlib.Path | None, typer.Option(help="reference genome, plain or bgzip")] = None,
    gtf: options.Gtf = None,
    splice_sites: options.SpliceSites = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    scorer: options.Scorers = None,
    organism: options.Organism = None,
    window: options.Window = None,
    window_grid: options.WindowGrid = None,
    parity: options.Parity = "fixed",
    precision: options.Precision = "float32",
    batch_size: options.BatchSize = 2,
    max_ref_mismatch: options.MaxMismatch = 0.05,
    points: Annotated[int, typer.Option(min=3, help="break points between the tails")] = 1001,
    tail: Annotated[int, typer.Option(min=1, help="scores kept one by one in each tail, for each track")] = 500,
    capacity: Annotated[int, typer.Option(min=2, help="length of the sketch's buffers; pieces must agree")] = 4096,
    merge: Annotated[bool, typer.Option("--merge", help="join .sketch files")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="go on with less than 1,000 variants, or the same ones twice")
    ] = False,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Scores common variants, and keeps for each track how their scores are distributed.

    Interrupted, the same command goes on where it stopped.
    """
    from ag_core.errors import InputError
    from rich.console import Console

    from ag_scorers.calibration_run import SUFFIX, merge_pieces, write_piece
    from ag_scorers.calibration_table import write_table

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    if output.suffix not in (".parquet", SUFFIX):
        raise InputError(f"{output}: cannot tell the format; use .parquet, or {SUFFIX} for a piece")
    state = None
    if merge:
        piece = merge_pieces(inputs, force=force)
    else:
        if len(inputs) != 1:
            raise InputError("give one file of variants; make a .sketch of each and join them with --merge")
        if fasta is None:
            raise InputError("the reference genome is missing: --fasta")
        state = output if output.suffix == SUFFIX else output.with_name(f"{output.name}{SUFFIX}")
        options = {
            "gtf": gtf,
            "splice_sites": splice_sites,
            "polya": polya,
            "model": model,
            "scorers": scorer or (),
            "organism": organism,
            "window": window,
            "precision": precision,
            "batch_size": batch_size,
            "parity": parity,
        }
        if window_grid is not None:
            options["window_grid"] = window_grid
        piece = _score(
            inputs[0], fasta, state, options, max_ref_mismatch, (capacity, tail), force or output == state, console
        )
    if not force and output.suffix != SUFFIX:
        _require_enough(piece, output)
    if output.suffix == SUFFIX:
        write_piece(output, piece)
    else:
        write_table(output, piece.table(points))
        if state is not None:
            state.unlink(missing_ok=True)
    _report(piece, output, time.monotonic() - begun, console, json_)


def _score(
    vcf: pathlib.Path,
    fasta: pathlib.Path,
    state: pathlib.Path,
    options: dict,
    max_mismatch: float,
    sizes: tuple[int, int],
    few: bool,
    console: "Console",
) -> "Piece":
    from ag_core.errors import InputError
    from ag_core.precision import Precision
    from ag_data.fasta import Fasta
    from ag_data.variants import Status

    from ag_scorers.calibration_run import begin, collect, resume
    from ag_scorers.digests import provenance
    from ag_scorers.progress import track_progress
    from ag_scorers.scoring import Survey, asked_for, open_engine

    if options["precision"] not in list(Precision):
        raise InputError(f"precision {options['precision']!r}: expected one of {', '.join(Precision)}")
    genome = Fasta(fasta)
    engine = open_engine(genome, **options)
    survey = Survey(vcf, genome, engine.window // 2, max_mismatch)
    total, able = survey.statuses.total(), survey.statuses[Status.SCORED]
    if able < FEWEST and not few:
        raise InputError(f"{vcf}: {able:,} of {total:,} alleles can be scored, a table needs {FEWEST:,}; or --force")
    capacity, tail = sizes
    made_by = provenance(engine, survey.chromosomes, asked_for(**options))
    piece = resume(state, begin(engine, vcf, capacity=capacity, tail=tail, provenance=made_by))
    went_on = f"; {piece.done:,} are done already" if piece.done else ""
    console.print(
        f"{total:,} alleles, {able:,} to score with {len(engine.scorers)} scorers{went_on}",
        highlight=False,
        markup=False,
    )
    left = total - piece.done
    collect(engine, piece, survey.calls(), state, lambda results: track_progress(results, left, console))
    return piece


def _require_enough(piece: "Piece", output: pathlib.Path) -> None:
    from ag_core.errors import InputError

    if piece.scored < FEWEST:
        failed = f"; first failure: {piece.first_failure}" if piece.first_failure else ""
        raise InputError(
            f"{output}: not written, {piece.scored:,} alleles were scored, a table needs {FEWEST:,}{failed}; or --force"
        )


def _report(piece: "Piece", output: pathlib.Path, seconds: float, console: "Console", json_: bool) -> None:
    if piece.first_failure:
        console.print(f"first failure: {piece.first_failure}", highlight=False, markup=False)
    infinite = sum(int(sketch.infinite.sum()) for sketch in piece.sketches.values())
    if infinite:
        console.print(f"{infinite:,} infinite scores were left out", highlight=False)
    if piece.indels:
        console.print(f"{piece.indels:,} alleles are no substitutions", highlight=False)
    counts = ", ".join(f"{status} {count:,}" for status, count in piece.statuses.most_common())
    console.print(f"{counts or 'no alleles'} -> {output}", highlight=False, markup=False, soft_wrap=True)
    if json_:
        summary = {
            "output": str(output),
            "statuses": dict(sorted(piece.statuses.items())),
            "scorers": {key: sketch.tracks for key, sketch in piece.sketches.items()},
            "infinite": infinite,
            "seconds": round(seconds, 3),
            "binding": piece.about["binding"],
        }
        print(json.dumps(summary, indent=1))


def plot(
    table: Annotated[pathlib.Path, typer.Argument(help="table of `agenome calibrate`")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help=".png, .pdf or .svg")],
    scores: Annotated[
        pathlib.Path | None, typer.Option(help="tidy .parquet of `agenome score`, whose variants are marked")
    ] = None,
    variant: Annotated[list[str] | None, typer.Option(help="one of --scores, as chr1:100:A>G; may be repeated")] = None,
) -> None:
    """Draws how the scores of common variants are distributed, for each scorer, and where chosen variants lie."""
    from ag_core.errors import InputError
    from ag_data.plot import save

    from ag_scorers.calibration_plot import plot_calibration, read_scores
    from ag_scorers.calibration_table import read_table

    if (scores is None) != (not variant):
        raise InputError("to mark variants give both: --scores FILE and --variant TEXT")
    marked = read_scores(scores, variant or ()) if scores is not None else ()
    save(plot_calibration(read_table(table), marked), output)
    typer.echo(f"-> {output}", err=True)
