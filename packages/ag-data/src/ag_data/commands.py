"""`agenome genome`: genomes as codes, and tables that scorers read."""

import pathlib
from typing import Annotated

import typer

genome = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
GTF = Annotated[pathlib.Path, typer.Argument(help="gene annotation: GTF, or parquet or feather made from one")]
OUTPUT = Annotated[pathlib.Path, typer.Option("-o", "--output", help=".parquet, .feather, .tsv[.gz] or .csv[.gz]")]


@genome.callback()
def _genome() -> None:
    """Keep genomes as codes, and make tables that scorers read."""


@genome.command("import")
def import_(
    files: Annotated[list[pathlib.Path], typer.Argument(help="FASTA, plain or bgzip, or .2bit; several make one")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help="folder to make")],
) -> None:
    """Keeps a genome as memory-mapped codes. Other commands do so by themselves, in the cache folder."""
    from ag_data.genome_store import Genome, open_reader, write_genome

    write_genome([open_reader(path) for path in files], output)
    made = Genome(output)
    typer.echo(f"{len(made.lengths):,} chromosomes, {sum(made.lengths.values()):,} bp -> {output}", err=True)


@genome.command("windows")
def windows(
    shards: Annotated[list[pathlib.Path], typer.Argument(help="Borzoi TFRecord shards or .npz of windows")],
    bed: Annotated[pathlib.Path, typer.Option(help="sequences.bed: where the windows lie")],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output", help="FASTA to write")],
) -> None:
    """The DNA that training windows carry, as a FASTA of pieces of chromosomes: a genome where there is no other."""
    from ag_data.sources.borzoi import write_windows_fasta

    count = write_windows_fasta(shards, bed, output)
    typer.echo(f"{count:,} pieces -> {output}", err=True)


@genome.command("splice-sites")
def splice_sites(
    output: OUTPUT,
    gtf: Annotated[pathlib.Path | None, typer.Argument(help="gene annotation; its introns tell the sites")] = None,
    starts: Annotated[pathlib.Path | None, typer.Option(help="instead: Chromosome, Start, Strand of introns")] = None,
    ends: Annotated[pathlib.Path | None, typer.Option(help="with --starts: Chromosome, End, Strand")] = None,
) -> None:
    """Annotated splice sites (Chromosome, 0-based Position, Strand, Kind), for `agenome score --splice-sites`."""
    from ag_core.errors import InputError

    from ag_data.annotation import read_gtf
    from ag_data.place_table import read_places, write_places
    from ag_data.splice_sites import annotated_sites, sites_of_introns

    if gtf is not None and starts is None and ends is None:
        table = annotated_sites(read_gtf(gtf)).table
    elif gtf is None and starts is not None and ends is not None:
        table = sites_of_introns(
            read_places(starts, "table of intron starts", ("Chromosome", "Start", "Strand")),
            read_places(ends, "table of intron ends", ("Chromosome", "End", "Strand")),
        )
    else:
        raise InputError("splice sites come from an annotation, or from both --starts and --ends; give one of these")
    write_places(table, output)
    typer.echo(f"{len(table):,} splice sites -> {output}", err=True)


@genome.command()
def polya(
    gtf: GTF,
    output: OUTPUT,
    sites: Annotated[
        pathlib.Path | None,
        typer.Option(help="known sites (Chromosome, 0-based Start, Strand); default: the ends of transcripts"),
    ] = None,
) -> None:
    """Polyadenylation sites of genes, for `agenome score --polya`."""
    from ag_data.annotation import read_gtf
    from ag_data.place_table import read_places, write_places
    from ag_data.polyadenylation import match_sites, transcript_ends

    annotation = read_gtf(gtf)
    if sites is None:
        table = transcript_ends(annotation)
    else:
        table = match_sites(read_places(sites, "list of sites", ("Chromosome", "Start", "Strand")), annotation)
    write_places(table, output)
    typer.echo(f"{len(table):,} sites of {table['gene_id'].nunique():,} genes -> {output}", err=True)
