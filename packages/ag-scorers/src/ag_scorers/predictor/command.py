"""`agenome predict`."""

import json
import pathlib
import time
from typing import Annotated

import typer

from ag_scorers import options


def predict(
    output: Annotated[
        list[pathlib.Path],
        typer.Option(
            "-o",
            "--output",
            help=".zarr, .bw, .bedgraph[.gz], .bedpe[.gz], .bed12[.gz], .cool, .mcool, or no suffix for a folder of "
            "bigWigs (.bedgraphs: of bedGraphs); may be repeated",
        ),
    ],
    region: Annotated[
        str | None, typer.Option(help="such as chr22:36,201,698-36,300,000 (1-based), with :- for '-'")
    ] = None,
    gene: Annotated[str | None, typer.Option(help="name or id of a gene in --gtf")] = None,
    bed: Annotated[pathlib.Path | None, typer.Option(help="regions in a BED file")] = None,
    sequences: Annotated[
        pathlib.Path | None, typer.Option(help="loose sequences in a FASTA file; no genome needed")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="such as chr20:44355804:C>T: REF and ALT")] = None,
    fasta: Annotated[pathlib.Path | None, typer.Option(help="reference genome, plain or bgzip")] = None,
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation")] = None,
    model: options.Model = "mini",
    organism: options.Organism = None,
    outputs: Annotated[str, typer.Option(help="modalities, such as rna_seq,cage; default: all")] = "",
    tracks: options.Tracks = "",
    window: options.Window = None,
    precision: options.Precision = "float32",
    align: Annotated[str, typer.Option(help="none, or reference: ALT of an indel in the frame of REF")] = "none",
    min_count: Annotated[float, typer.Option(help="leave out junctions that reach this in no track")] = 0.0,
    dtype: Annotated[str, typer.Option(help="of a .zarr: float32 or float16")] = "float32",
    plan: Annotated[bool, typer.Option("--plan", help="say what would be written, and stop")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace outputs that are there")] = False,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predicts tracks, contact maps and splice junctions for regions, genes, sequences or a variant."""
    from rich.console import Console

    from ag_scorers.predictor.api import prepare_for, run_plan
    from ag_scorers.predictor.formats import check_outputs
    from ag_scorers.predictor.report import count, count_places, describe, show_progress

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    paths = check_outputs(output, force)
    planned = prepare_for(
        paths,
        region=region,
        gene=gene,
        bed=bed,
        sequences=sequences,
        variant=variant,
        fasta=fasta,
        gtf=gtf,
        model=model,
        organism=organism,
        outputs=[name for name in outputs.split(",") if name.strip()],
        tracks=tracks,
        window=window,
        precision=precision,
        align=align,
        min_count=min_count,
    )
    summary = {"output": list(map(str, paths)), **count(planned, dtype), **planned.provenance}
    if plan:
        summary["arrays"] = planned.shapes()
        print(json.dumps(summary, indent=1)) if json_ else Console(soft_wrap=True).print(
            describe(planned, paths, dtype)
        )
        return
    console.print(count_places(planned), highlight=False)
    with show_progress(planned.bases, console) as advance:
        written = run_plan(planned, paths, dtype=dtype, advance=advance)
    shown = ", ".join(written[:3]) + (f" and {len(written) - 3:,} more" if len(written) > 3 else "")
    console.print(f"-> {shown}", highlight=False, markup=False, soft_wrap=True)
    if json_:
        print(json.dumps({**summary, "written": written, "seconds": round(time.monotonic() - begun, 3)}, indent=1))
