"""`agenome ism`."""

import json
import pathlib
import time
from typing import Annotated

import typer

from ag_scorers import options


def ism(
    region: Annotated[str, typer.Argument(help="what to mutate, such as chr20:44,355,801-44,355,900 (1-based)")],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    output: Annotated[
        list[pathlib.Path], typer.Option("-o", "--output", help=".zarr, .parquet, .tsv or .tsv.gz; may be repeated")
    ],
    background: Annotated[
        str | None, typer.Option(help="a variant whose ALT is in the sequence, such as chr20:44355804:C>T")
    ] = None,
    by: Annotated[str, typer.Option(help="substitution, deletion or shuffle")] = "substitution",
    size: Annotated[int, typer.Option(help="bp of each deletion or shuffled stretch")] = 1,
    step: Annotated[int, typer.Option(help="bp from one deletion or stretch to the next")] = 1,
    repeats: Annotated[int, typer.Option(help="how often each stretch is shuffled")] = 10,
    seed: Annotated[int, typer.Option(help="of the shuffles")] = 0,
    gtf: options.Gtf = None,
    splice_sites: options.SpliceSites = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    scorer: options.Scorers = None,
    tracks: options.Tracks = "",
    organism: options.Organism = None,
    window: options.Window = None,
    precision: options.Precision = "float32",
    batch_size: options.BatchSize = 16,
    full: Annotated[bool, typer.Option("--full", help="run the model on whole windows, though less would do")] = False,
    picture: Annotated[
        pathlib.Path | None,
        typer.Option(
            help=".png, .svg or .pdf: contributions, and what every substitution does, of the strongest track"
        ),
    ] = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Scores every substitution (or deletions, or shuffles) of a region. Interrupted, the same command goes on."""
    from rich.console import Console

    from ag_scorers.mutagenesis.picture import check_picture
    from ag_scorers.mutagenesis.run import check_paths, execute
    from ag_scorers.mutagenesis.saturation import Changes, prepare

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    check_paths(output)
    check_picture(picture, by)
    work, made_by = prepare(
        region,
        fasta=fasta,
        background=background,
        changes=Changes(by, size, step, repeats, seed),
        partial=not full,
        gtf=gtf,
        splice_sites=splice_sites,
        polya=polya,
        model=model,
        scorers=scorer or (),
        tracks=tracks,
        organism=organism,
        window=window,
        precision=precision,
        batch_size=batch_size,
    )
    console.print(
        f"{len(work.mutations):,} mutations of {work.span.region} with {len(work.engine.scorers)} scorers on "
        f"{sum(t.sizes['track'] for t in work.engine.tables.values()):,} tracks of {work.engine.checkpoint.spec.name}",
        highlight=False,
    )
    statuses = execute(work, output, made_by, console, picture)
    shown = ", ".join(f"{status} {count:,}" for status, count in statuses.most_common())
    console.print(f"{shown} -> {', '.join(map(str, output))}", highlight=False)
    if json_:
        summary = {
            "output": [str(path) for path in output],
            "mutations": len(work.mutations),
            "statuses": dict(sorted(statuses.items())),
            "seconds": round(time.monotonic() - begun, 3),
            **{name: value for name, value in made_by.items() if name != "scorers"},
        }
        print(json.dumps(summary, indent=1))
