"""`agenome score`."""

import collections
import contextlib
import json
import pathlib
import time
from typing import Annotated

import typer


def score(
    vcf: Annotated[pathlib.Path, typer.Argument(help="variants: .vcf, .vcf.gz or .bcf")],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    output: Annotated[
        list[pathlib.Path],
        typer.Option("-o", "--output", help=".parquet, .tsv[.gz] or .vcf[.gz]; may be repeated"),
    ],
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation, for scorers by gene")] = None,
    splice_sites: Annotated[
        pathlib.Path | None,
        typer.Option(help="table of `agenome genome splice-sites`; default: the GTF's introns"),
    ] = None,
    polya: Annotated[pathlib.Path | None, typer.Option(help="polyadenylation sites, of `agenome genome polya`")] = None,
    model: Annotated[str, typer.Option(help="a named model or a checkpoint folder")] = "mini",
    scorer: Annotated[
        list[str] | None, typer.Option(help="name[:option=value,...]; may be repeated; default: recommended")
    ] = None,
    tracks: Annotated[str, typer.Option(help='query over track metadata, such as "HepG2 & CTCF"')] = "",
    organism: Annotated[str | None, typer.Option(help="one the model knows; default: its first")] = None,
    window: Annotated[int | None, typer.Option(help="input length in bp, a multiple of 2,048")] = None,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16")] = "float32",
    batch_size: Annotated[int, typer.Option(help="variants in one forward pass")] = 2,
    max_ref_mismatch: Annotated[float, typer.Option(help="stop above this share of wrong REF alleles")] = 0.05,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace foreign INFO fields called AG")] = False,
    json_: Annotated[bool, typer.Option("--json", help="summary as JSON on stdout")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Scores every alternate allele of a VCF and writes all of them, each with its status."""
    from ag_core.config import check_length
    from ag_core.errors import InputError
    from ag_core.precision import Precision
    from ag_data.fasta import Fasta
    from ag_data.variants import Status
    from rich.console import Console

    from ag_scorers.outputs import SUFFIXES, open_writer
    from ag_scorers.progress import track_progress
    from ag_scorers.scoring import Survey, open_engine, provenance

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    for path in output:
        if not path.name.endswith(SUFFIXES):
            raise InputError(f"{path}: cannot tell the format; use one of {', '.join(SUFFIXES)}")
    if precision not in list(Precision):
        raise InputError(f"precision {precision!r}: expected one of {', '.join(Precision)}")
    if window is not None:
        try:
            check_length(window)
        except ValueError as error:
            raise InputError(f"--window: {error}") from error

    genome = Fasta(fasta)
    engine = open_engine(
        genome,
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
    survey = Survey(vcf, genome, engine.window // 2, max_ref_mismatch)
    total = survey.statuses.total()
    console.print(
        f"{total:,} alleles, {survey.statuses[Status.SCORED]:,} to score with {len(engine.scorers)} scorers on "
        f"{sum(t.sizes['track'] for t in engine.tables.values()):,} tracks of {engine.checkpoint.spec.name}",
        highlight=False,
    )
    statuses: collections.Counter[str] = collections.Counter()
    first_failure = ""
    with contextlib.ExitStack() as stack:
        made_by, templates = provenance(engine), engine.templates()
        writers = [
            stack.enter_context(open_writer(path, templates, vcf, provenance=made_by, overwrite=overwrite))
            for path in output
        ]
        for result in track_progress(engine.run(survey.calls()), total, console):
            statuses[result.call.status.value] += 1
            if result.call.status is Status.FAILED and not first_failure:
                first_failure = f"{result.call}: {result.call.detail}"
            for writer in writers:
                writer.write(result)
    if survey.report.mismatched and not quiet:
        cause = f"; {survey.report.cause}" if survey.report.cause else ""
        console.print(f"{survey.report.mismatched} REF alleles differ from the genome{cause}", highlight=False)
    if first_failure:
        console.print(f"first failure: {first_failure}", highlight=False, markup=False)
    summary = {
        "output": [str(path) for path in output],
        "alleles": total,
        "statuses": dict(sorted(statuses.items())),
        "scorers": {key: one.name for key, one in engine.scorers.items()},
        "seconds": round(time.monotonic() - begun, 3),
        **provenance(engine),
    }
    counts = ", ".join(f"{status} {count:,}" for status, count in statuses.most_common())
    console.print(f"{counts or 'no alleles'} -> {', '.join(map(str, output))}", highlight=False)
    if json_:
        print(json.dumps(summary, indent=1))
    if statuses[Status.FAILED.value] and not statuses[Status.SCORED.value]:
        raise RuntimeError(f"not one allele could be scored; {first_failure}")
