"""Command-line options that several commands of this package share."""

import pathlib
from typing import Annotated

import typer

Gtf = Annotated[pathlib.Path | None, typer.Option(help="gene annotation, for scorers by gene")]
SpliceSites = Annotated[
    pathlib.Path | None,
    typer.Option(help="table of `agenome genome splice-sites`; default: the GTF's introns"),
]
Polya = Annotated[pathlib.Path | None, typer.Option(help="polyadenylation sites, of `agenome genome polya`")]
Model = Annotated[str, typer.Option(help="a named model or a checkpoint folder")]
Scorers = Annotated[
    list[str] | None, typer.Option(help="name[:option=value,...]; may be repeated; default: recommended")
]
Tracks = Annotated[str, typer.Option(help='query over track metadata, such as "HepG2 & CTCF"')]
Organism = Annotated[str | None, typer.Option(help="one the model knows; default: its first")]
Window = Annotated[int | None, typer.Option(help="input length in bp, a multiple of 2,048")]
WindowGrid = Annotated[
    int | None, typer.Option(help="move windows to multiples of so many bp, so that neighbours share work")
]
Parity = Annotated[str, typer.Option(help="where the reference errs: fixed, or upstream to err too")]
Precision = Annotated[str, typer.Option(help="float32 or bfloat16")]
BatchSize = Annotated[int, typer.Option(help="variants in one forward pass")]
MaxMismatch = Annotated[float, typer.Option(help="stop above this share of wrong REF alleles")]
Json = Annotated[bool, typer.Option("--json", help="summary as JSON on stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]
