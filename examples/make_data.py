"""Makes the demo's data, `examples/data/`, from the shared fixtures: the HNF4A locus and its measured variants.

    python examples/make_data.py --fixtures DIR/HNF4A

What is kept, and why, is in `examples/data/README.md`. The outcome is the same, byte for byte, in every run.
"""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Annotated

import pandas as pd
import pysam
import typer
from ag_core.genome import Interval, Variant, normalize_variant
from ag_data import Fasta

FASTA, GTF, PEAKS = "HNF4A.hg38.fa.gz", "HNF4A.hg38.gtf.gz", "HNF4A.hg38.ENCODE_TF_peaks.tsv.gz"
TABLE, VCF = "HNF4A.hg38.MPRA_satmut.tsv.gz", "HNF4A.mpra.vcf.gz"
# The rule for what is kept, fixed before any model saw the variants.
LEAST_BARCODES, SIGNIFICANT, NEUTRAL = 100, 1e-6, 0.5
HEADER = """\
##fileformat=VCFv4.2
##source=Kircher et al. 2019, Nat. Commun. 10:3583 (CC BY 4.0): HNF4A promoter, MPRA in HEK293T
##reference=GRCh38
##contig=<ID=chr20,length=64444167,assembly=GRCh38>
##INFO=<ID=MPRA_EFFECT,Number=A,Type=Float,Description="log2 of the activity with ALT over that with REF">
##INFO=<ID=MPRA_P,Number=A,Type=Float,Description="p-value of the effect">
##INFO=<ID=MPRA_BARCODES,Number=A,Type=Integer,Description="Number of barcodes with ALT">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO
"""


def select(table: pd.DataFrame) -> pd.DataFrame:
    """The significant rows, and as many neutral ones with the smallest effects, in order of position."""
    measured = table[table["Barcodes"] >= LEAST_BARCODES]
    significant = measured[measured["pValue"] < SIGNIFICANT]
    neutral = measured[measured["pValue"] > NEUTRAL]
    smallest = neutral["Coefficient"].abs().sort_values(kind="stable").index[: len(significant)]
    return pd.concat([significant, neutral.loc[smallest]]).sort_values(["Pos", "Alt"])


def make_variant(row: pd.Series, fasta: Fasta) -> Variant:
    """The row as VCF has it: a deletion ('-') gets the base before it, and is left-aligned."""
    chromosome, start = f"chr{row['Chrom']}", int(row["Pos"]) - 1
    if row["Alt"] != "-":
        return Variant(chromosome, start + 1, row["Ref"], row["Alt"])
    anchor = fasta.fetch(Interval(chromosome, start - 1, start))
    return normalize_variant(Variant(chromosome, start, anchor + row["Ref"], anchor), fasta.fetch)


def records(table: pd.DataFrame, fasta: Fasta) -> Iterator[str]:
    """Lines of the VCF. Of deletions that are the same once aligned, the one with the most barcodes stays."""
    best: dict[Variant, pd.Series] = {}
    for _, row in table.iterrows():
        variant = make_variant(row, fasta)
        if not fasta.check_reference(variant):
            raise ValueError(f"{variant}: the FASTA has other bases than REF; is it GRCh38?")
        if variant not in best or row["Barcodes"] > best[variant]["Barcodes"]:
            best[variant] = row
    for v in sorted(best, key=lambda v: (v.position, v.reference_bases, v.alternate_bases)):
        row = best[v]
        info = f"MPRA_EFFECT={row['Coefficient']:.6g};MPRA_P={row['pValue']:.4g};MPRA_BARCODES={row['Barcodes']}"
        yield "\t".join([v.chromosome, str(v.position), ".", v.reference_bases, v.alternate_bases, ".", ".", info])


def main(
    fixtures: Annotated[pathlib.Path, typer.Option(help="folder with the shared fixture HNF4A")],
    out: Annotated[pathlib.Path, typer.Option(help="folder to write to")] = pathlib.Path(__file__).parent / "data",
) -> None:
    """Copies the locus, indexes it, and turns the table of effects into an indexed VCF."""
    out.mkdir(exist_ok=True)
    for name in (FASTA, GTF, PEAKS):
        shutil.copyfile(fixtures / name, out / name)
    pysam.faidx(str(out / FASTA))
    table = select(pd.read_csv(fixtures / TABLE, sep="\t"))
    with pysam.BGZFile(str(out / VCF), "wb") as file:
        file.write((HEADER + "\n".join(records(table, Fasta(out / FASTA))) + "\n").encode())
    pysam.tabix_index(str(out / VCF), preset="vcf", force=True)


if __name__ == "__main__":
    typer.run(main)
