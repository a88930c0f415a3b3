"""`agenome report variant`."""

import json
import pathlib
import time
from typing import Annotated

import typer

from ag_scorers import options


def variant(
    variants: Annotated[
        list[str],
        typer.Argument(help="such as chr20:44355804:C>T, or a file: .vcf, .vcf.gz, .bcf; several are one page"),
    ],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help="the page: .html")],
    gtf: Annotated[
        pathlib.Path | None, typer.Option(help="gene annotation; without it nothing is said of genes")
    ] = None,
    splice_sites: options.SpliceSites = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    scorer: options.Scorers = None,
    tracks: options.Tracks = "",
    organism: options.Organism = None,
    window: options.Window = None,
    precision: options.Precision = "float32",
    calibration: Annotated[str, typer.Option(help="quantile table: auto (the model's own), none or a file")] = "auto",
    details: Annotated[int, typer.Option(help="pictures for so many of the strongest variants")] = 20,
    most: Annotated[int, typer.Option(help="variants that a page may have")] = 2000,
    pictures: Annotated[pathlib.Path | None, typer.Option(help="folder for all pictures as SVG")] = None,
    title: Annotated[str, typer.Option(help="of the page")] = "",
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tells on one page what variants do: words, strongest effects, tracks, splicing, contacts, mutagenesis."""
    from ag_core.errors import InputError
    from rich.console import Console

    from ag_scorers.report.examination import Examiner
    from ag_scorers.report.gathering import gather, read_all
    from ag_scorers.report.page import render

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    if output.suffix not in (".html", ".htm"):
        raise InputError(f"cannot write {output}: a report is a page, expected a name that ends in .html")
    examiner = Examiner(
        fasta,
        gtf=gtf,
        model=model,
        calibration=calibration,
        splice_sites=splice_sites,
        polya=polya,
        scorers=scorer or (),
        tracks=tracks,
        organism=organism,
        window=window,
        precision=precision,
    )
    calls = read_all(variants, examiner, most)
    sections, failures = gather(examiner, calls, details, console)
    if not sections:
        raise InputError(f"not one variant could be scored; {failures[0] if failures else 'the file has none'}")
    chromosomes = {section.found.variant.chromosome for section in sections}
    made_by = examiner.provenance(chromosomes)
    page = render(sections, notes=examiner.notes(), provenance=made_by, failures=failures, title=title)
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = output.with_name(f"{output.name}.tmp")
    scratch.write_text(page)
    scratch.replace(output)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        for number, section in enumerate(sections, 1):
            for name, figure in section.pictures.items():
                figure.savefig(pictures / f"{number:03d}_{name}.svg")
    for note in examiner.notes():
        console.print(note, highlight=False, markup=False)
    console.print(f"{len(sections):,} variants, {len(failures):,} not scored -> {output}", highlight=False)
    if json_:
        told = [{"variant": str(one.found.variant), "words": list(one.found.words)} for one in sections]
        summary = {"output": str(output), "variants": told, "failures": list(failures)}
        print(json.dumps({**summary, "seconds": round(time.monotonic() - begun, 3), **made_by}, indent=1))
