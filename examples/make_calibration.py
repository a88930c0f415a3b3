"""Makes the calibration table of the embedded model again: common SNVs of chromosome 22, 1000 Genomes phase 3.

    python examples/make_calibration.py --sites genotypes.chr22.vcf.gz --fasta chr22.fa.gz --gtf chr22.gtf.gz -o OUT

`--sites`: a VCF (GRCh37) with the allele frequencies of the five populations (INFO AFR_AF, ...), such as the example
of QTLtools (Debian package qtltools-example). OUT gets two halves of the background, by even and odd megabases, each
half's sketch, the table of both, `calibration.png` and, on stdout, how far the halves differ.
"""

import argparse
import pathlib
import sys

import numpy as np
import pysam
from ag_core.cli import run
from ag_core.genome import Interval
from ag_data.fasta import Fasta
from ag_scorers.calibration_check import distances
from ag_scorers.calibration_run import read_piece

POPULATIONS = ("AFR_AF", "AMR_AF", "EAS_AF", "EUR_AF", "SAS_AF")
RARE, WINDOW, NEAR, UNKNOWN = 0.01, 16_384, 512, 0.1


def is_known(genome: Fasta, chromosome: str, position: int) -> bool:
    """Whether the sequence of the window is known but for a tenth, and that near the variant entirely."""
    start = position - WINDOW // 2
    if start < 0 or start + WINDOW > genome.lengths[chromosome]:
        return False
    window = genome.fetch(Interval(chromosome, start, start + WINDOW)).upper()
    middle = window[WINDOW // 2 - 1 - NEAR : WINDOW // 2 - 1 + NEAR]
    return "N" not in middle and window.count("N") <= UNKNOWN * WINDOW


def select(
    sites: pathlib.Path, genome: Fasta, outputs: tuple[pathlib.Path, pathlib.Path], every: int, first: int = 0
) -> int:
    """Writes every so many of the common SNVs of even and odd megabases, without genotypes; returns how many."""
    count = found = 0
    with pysam.VariantFile(str(sites), drop_samples=True) as source:
        header = pysam.VariantHeader()
        for name, contig in source.header.contigs.items():
            header.contigs.add(str(name), length=contig.length)
        writers = [pysam.VariantFile(str(path), "w", header=header) for path in outputs]
        for record in source:
            alts = record.alts or ()
            if len(record.ref or "") != 1 or [len(alt) for alt in alts] != [1]:
                continue
            frequencies = [float(np.atleast_1d(record.info[name])[0]) for name in POPULATIONS]
            chromosome = genome.find_chromosome(record.chrom)
            if max(min(f, 1 - f) for f in frequencies) <= RARE or chromosome is None:
                continue
            known = is_known(genome, chromosome, record.pos)
            if not known:
                continue
            found += 1
            if (
                found % every == first
                and genome.fetch(Interval(chromosome, record.pos - 1, record.pos)).upper() == record.ref
            ):
                writer = writers[record.pos // 1_000_000 % 2]
                writer.write(
                    writer.new_record(
                        contig=record.chrom, start=record.pos - 1, alleles=(record.ref, *alts), id=record.id
                    )
                )
                count += 1
        for writer in writers:
            writer.close()
    return count


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("sites", "fasta", "gtf"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="one of so many SNVs (1: all)")
    parser.add_argument("--first", type=int, default=0, help="which of every so many, from 0")
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"1000G_phase3_common.chr22.{half}_Mb" for half in ("even", "odd")]
    halves = tuple(folder / f"{name}.vcf" for name in names)
    if not all(path.exists() for path in halves):
        count = select(options.sites, Fasta(options.fasta), (halves[0], halves[1]), options.every, options.first)
        print(f"{count:,} variants")
    pieces = [path.with_suffix(".sketch") for path in halves]
    for half, piece in zip(halves, pieces, strict=True):
        files = ["--model", options.model, "--fasta", str(options.fasta), "--gtf", str(options.gtf)]
        if (code := run(["calibrate", str(half), *files, "-o", str(piece)])) != 0:
            return code
    table = folder / "calibration.parquet"
    run(["calibrate", *map(str, pieces), "--merge", "-o", str(table)])
    run(["calibrate", "plot", str(table), "-o", str(folder / "calibration.png")])
    one, other = (read_piece(piece).table() for piece in pieces)
    for key, found in distances(one, other).items():
        print(f"{key}: Kolmogorov distance of the halves, median {np.median(found):.4f}, largest {found.max():.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
