"""`agenome score`."""

import dataclasses
import json
import pathlib
import time
from typing import Annotated

import typer

from ag_scorers import options


def score(
    vcf: Annotated[pathlib.Path, typer.Argument(help="variants: .vcf, .vcf.gz or .bcf")],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    output: Annotated[
        list[pathlib.Path],
        typer.Option("-o", "--output", help="the suffix tells the format (docs/score-outputs.md); may be repeated"),
    ],
    gtf: options.Gtf = None,
    splice_sites: options.SpliceSites = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    scorer: options.Scorers = None,
    tracks: options.Tracks = "",
    organism: options.Organism = None,
    window: options.Window = None,
    window_grid: options.WindowGrid = None,
    indel: Annotated[str, typer.Option(help="how indels are compared: align, stitch or none")] = "align",
    parity: options.Parity = "fixed",
    precision: options.Precision = "float32",
    batch_size: options.BatchSize = 2,
    full: Annotated[bool, typer.Option("--full", help="run the model on whole windows, though less would do")] = False,
    alleles: Annotated[bool, typer.Option("--alleles", help="values of REF and ALT beside their scores")] = False,
    calibration: Annotated[str, typer.Option(help="quantile table: auto (the model's own), none or a file")] = "auto",
    repair: Annotated[bool, typer.Option("--repair", help="mend alleles first (docs/vcf-doctor.md)")] = False,
    top: Annotated[int | None, typer.Option(help="write the N strongest tracks of each item")] = None,
    keep_tracks: Annotated[str, typer.Option(help="write tracks that fit a query; all of --tracks are scored")] = "",
    track_set: Annotated[
        list[str] | None, typer.Option(help="NAME=QUERY: write the strongest track of the set; may be repeated")
    ] = None,
    max_ref_mismatch: options.MaxMismatch = 0.05,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace foreign INFO fields called AG")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="try a few variants, tell time, memory and bytes, stop")] = False,
    work: Annotated[
        pathlib.Path | None, typer.Option(help="folder for shards; default: beside the first output")
    ] = None,
    shard_size: Annotated[int | None, typer.Option(min=1, help="variants that an interruption may cost")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="address of a Dask scheduler whose workers score the shards")
    ] = None,
    local_cluster: Annotated[int | None, typer.Option(help="score in so many processes on this machine")] = None,
    slurm: Annotated[
        pathlib.Path | None, typer.Option(help="YAML: options of dask_jobqueue.SLURMCluster, and `jobs`")
    ] = None,
    keep_shards: Annotated[bool, typer.Option("--keep-shards", help="leave the folder of shards there")] = False,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Scores every alternate allele of a VCF and writes all of them, each with its status.

    Interrupted, the same command goes on. `agenome score verify` scores rows of a finished output again.
    """
    from ag_core.config import check_length
    from ag_core.errors import InputError
    from ag_core.precision import Precision
    from ag_data.fasta import Fasta
    from ag_data.variants import Status
    from rich.console import Console

    from ag_scorers.calibration import load_calibration
    from ag_scorers.digests import provenance
    from ag_scorers.estimate import check_disk, estimate
    from ag_scorers.scoring import Survey, asked_for, open_engine, parse_sets
    from ag_scorers.scoring_run import ScoringRun, check_outputs, execute

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    if precision not in list(Precision):
        raise InputError(f"precision {precision!r}: expected one of {', '.join(Precision)}")
    if window is not None:
        try:
            check_length(window)
        except ValueError as error:
            raise InputError(f"--window: {error}") from error

    special = {"partial": False if full else None, "indel": indel, "alleles": alleles, "window_grid": window_grid}
    usual = {"partial": None, "indel": "align", "alleles": False, "window_grid": None}
    options = {
        "gtf": gtf,
        "splice_sites": splice_sites,
        "polya": polya,
        "model": model,
        "scorers": scorer or (),
        "tracks": tracks,
        "organism": organism,
        "window": window,
        "precision": precision,
        "batch_size": batch_size,
        "parity": parity,
        **{name: value for name, value in special.items() if value != usual[name]},
    }
    genome = Fasta(fasta)
    engine = open_engine(genome, **options)
    quantiles = load_calibration(calibration, engine, model=model)
    survey = Survey(vcf, genome, engine.window // 2, max_ref_mismatch, repair=repair)
    asked = asked_for(**options) | ({"repair": True} if repair else {})
    asked |= {"calibration": quantiles.digest} if quantiles else {}
    columns = [*(["quantile", "tail"] if quantiles else []), *(["ref", "alt"] if alleles else [])]
    sets = parse_sets(track_set or [])
    run = ScoringRun(
        engine,
        survey,
        output,
        provenance(engine, survey.chromosomes, asked),
        calibration=quantiles,
        writing={
            "overwrite": overwrite,
            "columns": columns,
            "keep_tracks": keep_tracks,
            "top": top,
            "track_sets": sets or None,
        },
        size=shard_size,
        work=work,
        keep=keep_shards,
    )
    check_outputs(run)
    total = run.total
    console.print(
        f"{total:,} alleles, {survey.statuses[Status.SCORED]:,} to score with {len(engine.scorers)} scorers on "
        f"{sum(t.sizes['track'] for t in engine.tables.values()):,} tracks of {engine.checkpoint.spec.name}",
        highlight=False,
    )
    for note in quantiles.notes:
        console.print(note, highlight=False, markup=False)
    if survey.report.mismatched and not quiet:
        cause = f"; {survey.report.cause}" if survey.report.cause else ""
        console.print(f"{survey.report.mismatched} REF alleles differ from the genome{cause}", highlight=False)
    if plan:
        found = estimate(run, console)
        print(json.dumps(found.summary(), indent=1)) if json_ else print(found)
        found.check_disk()
        return
    check_disk(run, console)
    if cluster is not None or local_cluster is not None or slurm is not None:
        from ag_scorers.cluster.clients import open_cluster
        from ag_scorers.cluster.order import make_order

        order = make_order(engine, options, calibration=calibration, repair=repair)
        with open_cluster(cluster, local_cluster, slurm) as open_client:
            done = execute(dataclasses.replace(run, cluster=(open_client, order)), console)
    else:
        done = execute(run, console)
    if done.first_failure:
        console.print(f"first failure: {done.first_failure}", highlight=False, markup=False)
    counts = ", ".join(f"{status} {count:,}" for status, count in done.statuses.most_common())
    console.print(f"{counts or 'no alleles'} -> {', '.join(map(str, output))}", highlight=False)
    if json_:
        summary = {
            "output": [str(path) for path in output],
            "alleles": total,
            "statuses": dict(sorted(done.statuses.items())),
            "scorers": {key: one.name for key, one in engine.scorers.items()},
            "seconds": round(time.monotonic() - begun, 3),
            **{name: value for name, value in run.made_by.items() if name != "scorers"},
        }
        print(json.dumps(summary, indent=1))
    if done.statuses[Status.FAILED.value] and not done.statuses[Status.SCORED.value]:
        raise RuntimeError(f"not one allele could be scored; {done.first_failure}")
