"""`agenome attribute`."""

import json
import pathlib
import time
from typing import Annotated

import typer

from ag_scorers import options


def attribute(
    target: Annotated[
        list[str],
        typer.Option(
            help="what to explain, such as 'dnase[HepG2] @ chr20:44355000-44355500', 'rna_seq[liver] @ gene HNF4A', "
            "'cage @ region'; may be repeated"
        ),
    ],
    output: Annotated[
        list[pathlib.Path],
        typer.Option("-o", "--output", help=".zarr, .npz, .parquet, .bw or .bedgraph; may be repeated"),
    ],
    region: Annotated[
        str | None, typer.Option(help="such as chr20:44,355,704-44,356,204 (1-based), with :- for '-'")
    ] = None,
    gene: Annotated[str | None, typer.Option(help="name or id of a gene in --gtf")] = None,
    bed: Annotated[pathlib.Path | None, typer.Option(help="regions in a BED file")] = None,
    sequences: Annotated[
        pathlib.Path | None, typer.Option(help="loose sequences in a FASTA file; no genome needed")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="such as chr20:44355804:C>T: REF and ALT")] = None,
    fasta: Annotated[pathlib.Path | None, typer.Option(help="reference genome, plain or bgzip")] = None,
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation, for targets and --gene")] = None,
    model: options.Model = "mini",
    organism: options.Organism = None,
    window: options.Window = None,
    method: Annotated[str, typer.Option(help="input-x-gradient or integrated")] = "input-x-gradient",
    baseline: Annotated[str, typer.Option(help="of integrated: uniform, zeros or shuffled")] = "uniform",
    shuffles: Annotated[int, typer.Option(help="shuffled baselines")] = 8,
    seed: Annotated[int, typer.Option(help="of shuffled baselines")] = 0,
    tolerance: Annotated[float, typer.Option(help="of integrated: what may be missing of the difference")] = 0.01,
    most_steps: Annotated[int, typer.Option(help="of integrated: gradients for one baseline")] = 200,
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="mean of the sequence and its reverse complement")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="of integrated: gradients computed together")] = 1,
    force: Annotated[bool, typer.Option("--force", help="replace outputs that are there")] = False,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tells which bases an output of the model rests on."""
    from rich.console import Console

    from ag_scorers.attribution.api import find_leaves, prepare, run_plan
    from ag_scorers.attribution.files import check_fits, check_outputs, write_tree

    begun = time.monotonic()
    console = Console(stderr=True, quiet=quiet)
    paths = check_outputs(output, force)
    plan = prepare(
        target if len(target) > 1 else target[0],
        region=region,
        gene=gene,
        bed=bed,
        sequences=sequences,
        variant=variant,
        fasta=fasta,
        gtf=gtf,
        model=model,
        organism=organism,
        window=window,
        method=method,
        baseline=baseline,
        shuffles=shuffles,
        seed=seed,
        tolerance=tolerance,
        most_steps=most_steps,
        both_strands=both_strands,
        batch_size=batch_size,
    )
    check_fits(plan, paths)
    count = len(plan.places)
    console.print(f"{count:,} {'place' if count == 1 else 'places'}, {len(plan.targets)} target(s)", highlight=False)
    with console.status("attributing"):
        tree = run_plan(plan)
    results = []
    for name, dataset in find_leaves(tree):
        numbers = {
            str(key): value.values.tolist() for key, value in dataset.data_vars.items() if "base" not in value.dims
        }
        row = {"place": name, "interval": dataset.attrs["interval"], **numbers}
        if not dataset.attrs.get("tolerance_reached", True):
            console.print(
                f"{name or dataset.attrs['interval']}: after {dataset.attrs['steps']} steps contributions miss the "
                f"difference by {numbers['completeness_error']}; raise --most-steps",
                highlight=False,
                markup=False,
            )
        results.append(
            row | {key: dataset.attrs[key] for key in ("steps", "tolerance_reached") if key in dataset.attrs}
        )
    for path in paths:
        write_tree(tree, path)
    console.print(f"-> {', '.join(map(str, paths))}", highlight=False, markup=False, soft_wrap=True)
    if json_:
        summary = {"output": list(map(str, paths)), **tree.attrs, "places": results}
        print(json.dumps({**summary, "seconds": round(time.monotonic() - begun, 3)}, indent=1))
