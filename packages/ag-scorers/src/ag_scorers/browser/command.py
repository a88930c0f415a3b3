"""`agenome browse`."""

import json
import pathlib
from typing import Annotated

import typer

from ag_scorers import options


def browse(
    predictions: Annotated[
        pathlib.Path, typer.Argument(help="a .zarr, or a folder of bigWigs, made by `agenome predict`")
    ],
    output: Annotated[
        pathlib.Path | None,
        typer.Option("-o", "--output", help="NAME.html, or no suffix for a folder that a web server shows"),
    ] = None,
    hub: Annotated[pathlib.Path | None, typer.Option(help="a folder for a UCSC track hub")] = None,
    session: Annotated[
        pathlib.Path | None, typer.Option(help="NAME.xml for IGV desktop; tracks go to NAME_tracks")
    ] = None,
    outputs: Annotated[str, typer.Option(help="modalities, such as rna_seq,cage; default: all")] = "",
    tracks: options.Tracks = "",
    region: Annotated[str | None, typer.Option(help="what to show first, 1-based; default: what was predicted")] = None,
    fasta: Annotated[pathlib.Path | None, typer.Option(help="reference genome, to show bases")] = None,
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation, to show genes")] = None,
    vcf: Annotated[pathlib.Path | None, typer.Option(help="variants to show")] = None,
    assembly: Annotated[
        str, typer.Option(help="UCSC's name of the genome; default: hg38 for human, mm10 for mouse")
    ] = "",
    title: Annotated[str | None, typer.Option(help="default: the name of the predictions")] = None,
    email: Annotated[str, typer.Option(help="whom to ask about the hub; UCSC wants one")] = "nobody@example.org",
    force: Annotated[bool, typer.Option("--force", help="replace outputs that are there")] = False,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Shows predictions in a browser: a page, an IGV session, a UCSC track hub."""
    from rich.console import Console

    from ag_scorers.browser.api import browse as write

    written = write(
        predictions,
        output,
        hub=hub,
        session=session,
        outputs=[name for name in outputs.split(",") if name.strip()],
        tracks=tracks,
        region=region,
        fasta=fasta,
        gtf=gtf,
        vcf=vcf,
        assembly=assembly,
        title=title,
        email=email,
        force=force,
    )
    console = Console(stderr=True, quiet=quiet)
    console.print(f"-> {', '.join(written)}", highlight=False, markup=False, soft_wrap=True)
    if json_:
        print(json.dumps({"predictions": str(predictions), "written": written}, indent=1))
