"""`agenome controls` and `agenome mechanism`."""

import json
import pathlib
from typing import Annotated

import typer

from ag_scorers import options


def controls(
    variant: Annotated[list[str], typer.Argument(help="such as chr20:44355804:C>T; several of one place are compared")],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help=".parquet, .tsv or .tsv.gz")],
    gtf: options.Gtf = None,
    count: Annotated[int, typer.Option(help="controls of each variant")] = 50,
    distance: Annotated[int, typer.Option(help="how far off SNVs and deletions may lie, in bp")] = 500,
    seed: Annotated[int, typer.Option(help="of the choice")] = 0,
    picture: Annotated[pathlib.Path | None, typer.Option(help="heat map: .png, .svg or .pdf")] = None,
    model: options.Model = "mini",
    scorer: options.Scorers = None,
    tracks: options.Tracks = "",
    organism: options.Organism = None,
    window: options.Window = None,
    batch_size: options.BatchSize = 8,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compares a variant with others of its kind and length: shuffled insertions, neighbouring SNVs and deletions."""
    from ag_core.errors import InputError
    from ag_core.genome import Variant
    from ag_data.altered import AlteredGenome
    from ag_data.fasta import Fasta
    from rich.console import Console

    from ag_scorers.controls.comparison import compare
    from ag_scorers.controls.matched import matched_controls
    from ag_scorers.controls.picture import plot_comparison
    from ag_scorers.controls.table import comparison_table, write_comparison
    from ag_scorers.scoring import open_engine

    console = Console(stderr=True, quiet=quiet)
    genome = Fasta(fasta)
    chosen: dict[Variant, list[Variant]] = {}
    for text in variant:
        try:
            one = Variant.from_str(text, None)
        except ValueError as error:
            raise InputError(f"variant: {error}") from error
        one = AlteredGenome(genome, one).variant  # compares REF with the genome
        chosen[one] = matched_controls(one, genome.fetch, count, distance, seed)
    engine = open_engine(
        genome,
        gtf=gtf,
        model=model,
        scorers=scorer or (),
        tracks=tracks,
        organism=organism,
        window=window,
        batch_size=batch_size,
        partial=True,
    )
    console.print(f"{len(chosen)} variants, {sum(map(len, chosen.values()))} controls", highlight=False)
    tree = compare(engine, chosen)
    table = comparison_table(tree)
    write_comparison(table, output)
    if picture is not None:
        plot_comparison(tree).savefig(picture, dpi=150)
    console.print(f"-> {', '.join(str(path) for path in (output, picture) if path)}", highlight=False)
    if json_:
        strongest = table.loc[~table["control"]].sort_values(by="beyond").head(10)
        print(strongest.to_json(orient="records", indent=1))


def mechanism(
    scores: Annotated[pathlib.Path, typer.Argument(help="scores.parquet of `agenome score`, with a calibration")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help=".parquet, .tsv or .tsv.gz")],
    background: Annotated[
        pathlib.Path | None, typer.Option(help="scores.parquet of common variants: what 1 % of them exceed counts")
    ] = None,
    json_: options.Json = False,
) -> None:
    """Tells for each variant which kind of effect it has: local regulation, expression only, multimodal, splicing."""
    from rich.console import Console

    from ag_scorers.controls.mechanism import mechanisms
    from ag_scorers.controls.table import read_scores, write_comparison

    found = mechanisms(read_scores(scores), None if background is None else read_scores(background))
    write_comparison(found, output)
    counts = found["mechanism"].value_counts().to_dict()
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    Console(stderr=True).print(f"{shown} -> {output}", highlight=False)
    if json_:
        print(json.dumps(counts, indent=1))
