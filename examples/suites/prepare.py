"""What the suite real.yaml reads beside the files themselves: one genome and annotation, lifted links, constructs.

hatch run python examples/suites/prepare.py DATA PREPARED
"""

import gzip
import pathlib
import shutil
from typing import Annotated

import pandas as pd
import pysam
import typer
from ag_eval.seen import lift
from ag_eval.variants.constructs import vexseq_constructs, write_constructs

CHROMOSOMES = {"chr20": "chr20", "chrX": "chrX_1_69999930", "chr22": "chr22_partial"}


def write_genome(data: pathlib.Path, out: pathlib.Path) -> None:
    """One bgzipped FASTA of the three chromosomes, and one GTF."""
    fasta = out / "hg19.fa.gz"
    with pysam.BGZFile(str(fasta), "wb") as target:
        for stem in CHROMOSOMES.values():
            with gzip.open(data / "hg19_seq" / f"{stem}.fa.gz") as source:
                shutil.copyfileobj(source, target, 1 << 24)
    pysam.FastaFile(str(fasta)).close()  # makes the index
    with gzip.open(out / "hg19.gtf.gz", "wb") as target:
        for chromosome in CHROMOSOMES:
            with gzip.open(data / "hg19_tracks/chrX_20_22" / f"gencode_lift37.exons.{chromosome}.gtf.gz") as source:
                shutil.copyfileobj(source, target)


def write_links(data: pathlib.Path, out: pathlib.Path) -> None:
    """Pairs on chrX and chr20 with their TSS in GRCh37 (elements have both).

    Left out are pairs whose TSS is not lifted, and elements that an inversion turned over.
    """
    table = pd.read_csv(data / "variants/CRISPRi_EPbenchmark_training_K562.tsv.gz", sep="\t")
    table = table[table["chrom"].isin(["chrX", "chr20"])].reset_index(drop=True)
    starts = pd.DataFrame({"Chromosome": table["chrom"], "Start": table["startTSS"]})
    lifted = lift(starts, data / "annot/hg38ToHg19.over.chain.gz")
    whole = (lifted["Chromosome"] == table["chrom"]) & (lifted["Start"] >= 0) & (table["hg19_start"] >= 0)
    whole &= table["hg19_start"] < table["hg19_end"]
    table.assign(tss_hg19=lifted["Start"])[whole].to_csv(out / "crispri_hg19.tsv", sep="\t", index=False)
    print(f"crispri_hg19.tsv: {int(whole.sum()):,} of {len(table):,} pairs lifted")


def write_hnf4a(data: pathlib.Path, out: pathlib.Path) -> None:
    """The variants of the HNF4A promoter, GRCh38."""
    table = pd.read_csv(data / "variants/MPRA_satmut_elements.tsv.gz", sep="\t", dtype={"Chrom": str})
    own = table[(table["Element"] == "HNF4A") & (table["Release"] == "GRCh38")]
    own.to_csv(out / "hnf4a.tsv", sep="\t", index=False)
    print(f"hnf4a.tsv: {len(own):,} variants")


def main(data: pathlib.Path, out: Annotated[pathlib.Path, typer.Argument(help="made if it is not there")]) -> None:
    """Writes all of it."""
    out.mkdir(parents=True, exist_ok=True)
    write_genome(data, out)
    write_links(data, out)
    write_hnf4a(data, out)
    constructs = vexseq_constructs(data / "variants/VexSeq_deltaPSI_with_sequences.tsv.gz")
    write_constructs(constructs, out / "vexseq")
    print(f"vexseq/variants.tsv: {len(constructs.variants):,} variants")


if __name__ == "__main__":
    typer.run(main)
