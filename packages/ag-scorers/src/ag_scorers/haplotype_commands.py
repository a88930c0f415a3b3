"""`agenome haplotypes`."""

import collections
import json
import pathlib
import time
from typing import Annotated

import typer

from ag_scorers import options


def haplotypes(
    vcf: Annotated[pathlib.Path, typer.Argument(help="phased variants: .vcf, .vcf.gz (bgzip) or .bcf")],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help=".parquet")],
    sample: Annotated[str | None, typer.Option(help="whose haplotypes; may be left out where there is one")] = None,
    gtf: options.Gtf = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    scorer: options.Scorers = None,
    tracks: options.Tracks = "",
    organism: options.Organism = None,
    window: options.Window = None,
    parity: options.Parity = "fixed",
    precision: options.Precision = "float32",
    max_span: Annotated[
        int | None, typer.Option(help="longest block in bp; longer ones are cut; default: half the window")
    ] = None,
    max_ref_mismatch: options.MaxMismatch = 0.05,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Scores a sample's phased blocks: all alleles of a haplotype jointly, each alone, and the remainder."""
    from ag_core.errors import InputError
    from ag_data.fasta import Fasta
    from ag_data.phased import phased_blocks, read_genotypes
    from rich.console import Console

    from ag_scorers.haplotype_rows import HaplotypeRows, open_rows
    from ag_scorers.haplotypes import score_blocks
    from ag_scorers.progress import show_progress
    from ag_scorers.scoring import Survey, open_engine, provenance

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    next(read_genotypes(vcf, sample), None)  # whether there is such a sample, before a model is loaded
    genome = Fasta(fasta)
    engine = open_engine(
        genome,
        gtf=gtf,
        polya=polya,
        model=model,
        scorers=scorer or (),
        tracks=tracks,
        organism=organism,
        window=window,
        precision=precision,
        parity=parity,
    )
    longest = engine.window // 2 if max_span is None else max_span
    if not 1 <= longest <= engine.window // 2:
        raise InputError(f"--max-span {longest:,}: expected 1 to {engine.window // 2:,} bp, half the window")
    survey = Survey(vcf, genome, longest, max_ref_mismatch)

    def chromosomes():
        return phased_blocks(survey.calls(), read_genotypes(vcf, sample), longest)

    blocks = copies = 0
    for found, refused in chromosomes():
        blocks += len(found)
        copies += sum(len(block.calls) for block in found) + len(refused)
    console.print(f"{copies:,} copies of alternate alleles, {blocks:,} haplotype blocks", highlight=False)
    counts: collections.Counter[str] = collections.Counter()
    first_failure = ""
    rows, made_by = HaplotypeRows(engine.templates()), dict(provenance(engine))
    with open_rows(output, rows, made_by) as put, show_progress("haplotypes", blocks, console) as advance:
        for found, refused in chromosomes():
            for result in score_blocks(engine, found):
                counts[result.status.value] += len(result.block.calls)
                first_failure = first_failure or (result.detail if result.status.value == "failed" else "")
                put(result)
                advance(1)
            for one in refused:
                counts[one.status.value] += 1
                put(one)
    if counts.total() != copies:
        raise RuntimeError(f"{copies} alleles came in, {counts.total()} went out")
    if first_failure:
        console.print(f"first failure: {first_failure}", highlight=False, markup=False)
    shown = ", ".join(f"{status} {count:,}" for status, count in counts.most_common())
    console.print(f"{shown or 'no alleles'} -> {output}", highlight=False)
    if json_:
        summary = {"output": str(output), "sample": sample, "blocks": blocks, "alleles": copies}
        summary |= {"statuses": dict(sorted(counts.items())), "seconds": round(time.monotonic() - begun, 3)}
        print(json.dumps({**summary, **made_by}, indent=1, default=str))
    if counts["failed"] and not counts["scored"]:
        raise RuntimeError(f"not one haplotype could be scored; {first_failure}")
