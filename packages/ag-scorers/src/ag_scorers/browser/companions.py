"""What is shown beside predictions, cut to their regions: genes, variants, bases."""

import gzip
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import pysam
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.annotation import Annotation, read_gtf
from ag_data.contigs import match_contig
from ag_data.fasta import Fasta
from ag_data.files import Compression, check_file

GENES, VARIANTS, BASES = "genes.bed.gz", "variants.vcf.gz", "bases.fa"


def write_genes(gtf: str | os.PathLike[str], regions: Sequence[Interval], folder: pathlib.Path) -> dict[str, Interval]:
    """Transcripts that reach into a region, as BED12 (bgzip, indexed); returns where the genes lie, by name.

    The file has no line where there is no gene.
    """
    annotation, genes, lines = read_gtf(gtf), {}, {}
    for region in regions:
        table = annotation.genes_in(region)
        columns = (table[key].tolist() for key in ("gene_id", "gene_name", "gene_start", "gene_end"))
        for gene, name, start, end in zip(*columns, strict=True):
            genes[name or gene] = Interval(region.chromosome, start, end)
            lines |= {key: line for key, line in _transcripts(annotation, gene, name or gene, region.chromosome)}
    _pack(folder / GENES, [lines[key] for key in sorted(lines)], "bed")
    return genes


def _transcripts(
    annotation: Annotation, gene: str, name: str, chromosome: str
) -> Iterator[tuple[tuple[str, int, int, str], str]]:
    exons = annotation.exons_of(gene)
    for transcript in dict.fromkeys(exons["transcript_id"].tolist()):
        own = np.flatnonzero(exons["transcript_id"] == transcript)
        own = own[np.argsort(exons["start"][own])]
        starts, ends = exons["start"][own], exons["end"][own]
        start, end = int(starts[0]), int(ends.max())
        fields = (chromosome, start, end, _word(name), 0, exons["strand"][own[0]], start, end, "59,59,88", len(own))
        blocks = (",".join(map(str, ends - starts)), ",".join(map(str, starts - start)))
        yield (chromosome, start, end, transcript), "\t".join(map(str, (*fields, *blocks))) + "\n"


def _word(text: str) -> str:
    """Without the signs that would make igv.js read a name as a list of attributes."""
    return "_".join(text.replace(";", "_").replace("=", "_").split())


def write_variants(
    vcf: str | os.PathLike[str] | None,
    given: Sequence[Variant],
    regions: Sequence[Interval],
    lengths: Mapping[str, int],
    folder: pathlib.Path,
) -> int:
    """Records of a VCF inside the regions and the predicted variants, bgzipped and indexed; returns their number.

    Chromosomes are spelled as in the predictions, samples are left out. Raises InputError for a file that is no VCF.
    """
    rows = {(v.chromosome, v.position, v.reference_bases, v.alternate_bases): "predicted\t.\t.\t." for v in given}
    if vcf is not None:
        rows = {**dict(_read_records(pathlib.Path(vcf), regions)), **rows}
    if not rows:
        return 0
    header = ["##fileformat=VCFv4.3\n", *(f"##contig=<ID={name},length={size}>\n" for name, size in lengths.items())]
    lines = []
    for chromosome, position, ref, alt in sorted(rows):
        name, rest = rows[chromosome, position, ref, alt].split("\t", 1)
        lines.append(f"{chromosome}\t{position}\t{name}\t{ref}\t{alt}\t{rest}\n")
    _pack(folder / VARIANTS, [*header, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n", *lines], "vcf")
    return len(lines)


def _read_records(path: pathlib.Path, regions: Sequence[Interval]) -> Iterator[tuple[tuple[str, int, str, str], str]]:
    packed = check_file(path, "VCF file") is not Compression.NONE
    with gzip.open(path, "rt") if packed else path.open() as file:
        for number, line in enumerate(file, 1):
            if number == 1 and not line.startswith("##fileformat=VCF"):
                raise InputError(f"{path} is no VCF file: its first line is {line[:40].strip()!r}; check --vcf")
            if line.startswith("#"):
                continue
            fields = line.rstrip("\n").split("\t")
            if len(fields) < 5 or not fields[1].isdigit():
                raise InputError(
                    f"{path}, line {number}: expected CHROM, POS, ID, REF and ALT separated by tabs; mend the file"
                )
            fields += ["."] * (8 - len(fields))
            position = int(fields[1])
            for region in regions:
                if region.start < position <= region.end and match_contig(fields[0], [region.chromosome]):
                    yield (region.chromosome, position, fields[3], fields[4]), "\t".join((fields[2], *fields[5:8]))
                    break


def write_bases(
    fasta: str | os.PathLike[str] | None,
    regions: Sequence[Interval],
    lengths: Mapping[str, int],
    folder: pathlib.Path,
) -> None:
    """The bases of the regions, as FASTA that igv.js reads: a record is named by its place and the chromosome's length.

    Without a genome there is one N for each chromosome, so that positions are known all the same.
    """
    with (folder / BASES).open("w") as file:
        if fasta is None:
            for name, length in lengths.items():
                file.write(f">{name}:1-1 @len={length}\nN\n")
            return
        genome = Fasta(fasta)
        for region in regions:
            bases = genome.fetch(region)
            file.write(f">{region.chromosome}:{region.start + 1}-{region.end} @len={lengths[region.chromosome]}\n")
            file.writelines(bases[first : first + 100] + "\n" for first in range(0, len(bases), 100))


def _pack(path: pathlib.Path, lines: list[str], preset: Literal["bed", "gff", "vcf"]) -> None:
    plain = path.with_suffix("")
    plain.write_text("".join(lines))
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), preset=preset, force=True)
    plain.unlink()
