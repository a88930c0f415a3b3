"""Genes, transcripts and exons by place: the "genes" resource of scorers.

Every chromosome is a few sorted arrays, so a query costs microseconds plus the size of its answer. Masks are in
forward coordinates whatever the interval's strand; the order of genes is the order of rows in the file.
"""

import collections
import copy
import dataclasses
import difflib
import os
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from jaxtyping import Bool, Int

from ag_data.altered import AlteredGenome
from ag_data.contigs import match_contig
from ag_data.gtf import clean_table, read_table

# More genes than this in one window are refused, as the reference implementation does.
MOST_GENES = 256

GeneTable = dict[str, np.ndarray]
GeneMask = Bool[np.ndarray, "position gene"]


@dataclasses.dataclass(frozen=True)
class _Chromosome:
    """Rows of one chromosome as arrays. `gene` numbers its genes in order of first appearance."""

    genes: GeneTable  # what is known of each gene; start and end are those of its first gene row
    row_gene: Int[np.ndarray, " row"]  # gene rows, in file order
    row_start: Int[np.ndarray, " row"]
    row_end: Int[np.ndarray, " row"]
    tss: Int[np.ndarray, " transcript"]  # sorted
    tss_row: Int[np.ndarray, " transcript"]  # place of that transcript in file order
    transcript_gene: Int[np.ndarray, " transcript"]  # in file order
    exon_slice: Int[np.ndarray, "transcript 2"]  # in file order, into the exons
    exon_start: Int[np.ndarray, " exon"]  # by transcript, then in file order
    exon_end: Int[np.ndarray, " exon"]
    exon_transcript: np.ndarray  # transcript ids


class Annotation:
    """The genes of a genome.

    `table` has the columns of `ag_data.gtf`: Chromosome, Start (0-based), End, Strand, Feature (gene, transcript,
    exon), gene_id, and where known gene_name, gene_type, transcript_id, transcript_type. Gene or transcript rows
    may be absent altogether: then they span their exons. Raises InputError for other tables.
    """

    def __init__(self, table: pd.DataFrame):
        table = clean_table(table)
        table = _with_rows(_with_rows(table, "transcript", "transcript_id"), "gene", "gene_id")
        groups = table.groupby("Chromosome", sort=False, observed=True)
        self._chromosomes = {str(name): _index(rows) for name, rows in groups}
        places = collections.defaultdict(list)
        for name, chromosome in self._chromosomes.items():
            for gene, gene_id in enumerate(chromosome.genes["gene_id"]):
                for key in {gene_id, gene_id.partition(".")[0]}:
                    places[key].append((name, gene))
        self._places = dict(places)
        self._last: tuple[Any, GeneMask, GeneTable] | None = None

    def __repr__(self) -> str:
        genes = sum(len(chromosome.genes["gene_id"]) for chromosome in self._chromosomes.values())
        return f"Annotation({genes} genes on {len(self._chromosomes)} chromosomes)"

    def altered(self, genome: AlteredGenome) -> "Annotation":
        """The annotation of a genome in which an allele stands: everything behind the variant moves along."""
        moved = copy.copy(self)
        name = match_contig(genome.variant.chromosome, self._chromosomes)
        moved._last = None
        moved._chromosomes = {
            each: _alter(chromosome, genome) if each == name else chromosome
            for each, chromosome in self._chromosomes.items()
        }
        return moved

    def exon_masks(
        self, interval: Interval, gene_types: Collection[str] | str | None = None
    ) -> tuple[GeneMask, GeneTable]:
        """Genes with a transcription start in `interval`; exons of their transcripts that start there (spec 2.4).

        A start on '-' is the transcript's End. The table has gene_id, gene_name, gene_type, gene_strand,
        gene_start, gene_end (0-based half-open) and chromosome. Raises InputError for more than 256 genes.
        """
        # Variants of one window come one after the other.
        key = interval, gene_types if gene_types is None or isinstance(gene_types, str) else tuple(gene_types)
        last = self._last
        if last is None or last[0] != key:
            mask, table = self._exon_masks(interval, gene_types)
            mask.flags.writeable = False
            self._last = last = key, mask, table
        return last[1], dict(last[2])

    def _exon_masks(self, interval: Interval, gene_types: Collection[str] | str | None) -> tuple[GeneMask, GeneTable]:
        if (chromosome := self._find(interval.chromosome)) is None:
            return _blank(interval, 0), _no_genes()
        inside = slice(*np.searchsorted(chromosome.tss, (interval.start, interval.end)))
        transcripts = np.sort(chromosome.tss_row[inside])
        of_gene = chromosome.transcript_gene[transcripts]
        kept = _of_type(chromosome, of_gene, gene_types)
        transcripts, of_gene = transcripts[kept], of_gene[kept]
        genes, columns = _in_order(of_gene)
        mask = _blank(interval, len(genes))
        for transcript, column in zip(transcripts, columns, strict=True):
            exons = slice(*chromosome.exon_slice[transcript])
            for start, end in zip(chromosome.exon_start[exons], chromosome.exon_end[exons], strict=True):
                _fill(mask, column, start - interval.start, end - interval.start)
        return mask, _rows(chromosome, genes)

    def body_masks(
        self, interval: Interval, variant: Variant | None = None, gene_types: Collection[str] | str | None = None
    ) -> tuple[GeneMask, GeneTable]:
        """Bodies, clipped to `interval`, of genes that overlap either allele of `variant` (spec 2.5).

        Without a variant: of genes that lie wholly inside `interval`. `gene_types` such as "protein_coding"
        restricts them. Table and errors as for `exon_masks`.
        """
        if (chromosome := self._find(variant.chromosome if variant else interval.chromosome)) is None:
            return _blank(interval, 0), _no_genes()
        if variant is None:
            hit = (chromosome.row_start >= interval.start) & (chromosome.row_end <= interval.end)
        else:
            hit = _overlaps(chromosome, variant)
        hit &= _of_type(chromosome, chromosome.row_gene, gene_types)
        rows = np.flatnonzero(hit)
        genes, columns = _in_order(chromosome.row_gene[rows])
        mask = _blank(interval, len(genes))
        if self._find(interval.chromosome) is chromosome:
            for row, column in zip(rows, columns, strict=True):
                start, end = chromosome.row_start[row], chromosome.row_end[row]
                _fill(mask, column, start - interval.start, end - interval.start)
        return mask, _rows(chromosome, genes)

    def genes_at(self, variant: Variant, gene_types: Collection[str] | str | None = None) -> GeneTable:
        """Genes whose body overlaps either allele of `variant`: the table of `body_masks`, without its masks."""
        if (chromosome := self._find(variant.chromosome)) is None:
            return _no_genes()
        hit = _overlaps(chromosome, variant) & _of_type(chromosome, chromosome.row_gene, gene_types)
        return _rows(chromosome, _in_order(chromosome.row_gene[hit])[0])

    def introns(self) -> pd.DataFrame:
        """Unique introns of all transcripts: Chromosome, Start, End (0-based half-open), Strand (spec 6.4)."""
        parts = []
        for name, chromosome in self._chromosomes.items():
            exons, transcript = _sorted_exons(chromosome)
            start, end = chromosome.exon_end[exons[:-1]], chromosome.exon_start[exons[1:]]
            inside = (transcript[1:] == transcript[:-1]) & (start < end)
            strand = chromosome.genes["gene_strand"][chromosome.transcript_gene[transcript[:-1]]]
            columns = {"Start": start, "End": end, "Strand": strand}
            parts.append(pd.DataFrame({key: values[inside] for key, values in columns.items()}).assign(Chromosome=name))
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["Start", "End", "Strand"])
        return table.reindex(columns=["Chromosome", "Start", "End", "Strand"]).drop_duplicates(ignore_index=True)

    def last_exons(self) -> pd.DataFrame:
        """The last exon of every transcript: Chromosome, Start, End (0-based half-open), Strand, gene_id."""
        parts = []
        for name, chromosome in self._chromosomes.items():
            exons, transcript = _sorted_exons(chromosome)
            gene = chromosome.transcript_gene[transcript]
            change = np.r_[True, transcript[1:] != transcript[:-1]] if len(exons) else np.zeros(0, bool)
            strand = chromosome.genes["gene_strand"][gene]
            # On '-' the last exon is the first along the chromosome.
            last = np.where(strand == "-", change, np.r_[change[1:], True] if len(exons) else change)
            columns = {"Start": chromosome.exon_start[exons], "End": chromosome.exon_end[exons], "Strand": strand}
            columns["gene_id"] = chromosome.genes["gene_id"][gene]
            parts.append(pd.DataFrame({key: values[last] for key, values in columns.items()}).assign(Chromosome=name))
        order = ["Chromosome", "Start", "End", "Strand", "gene_id"]
        return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=order)).reindex(columns=order)

    def genes_in(self, interval: Interval, gene_types: Collection[str] | str | None = None) -> GeneTable:
        """Genes that overlap `interval`, as a table like that of `exon_masks`; any number of them."""
        if (chromosome := self._find(interval.chromosome)) is None:
            return _no_genes()
        hit = (chromosome.row_end > interval.start) & (chromosome.row_start < interval.end)
        hit &= _of_type(chromosome, chromosome.row_gene, gene_types)
        return _rows(chromosome, _in_order(chromosome.row_gene[hit], limit=None)[0])

    def exons_of(self, gene_id: str) -> dict[str, np.ndarray]:
        """All exons of a gene (the version may be left out): transcript_id, start, end, strand, chromosome.

        Start and end are 0-based half-open. Raises InputError for an unknown gene.
        """
        if gene_id not in self._places:
            close = difflib.get_close_matches(gene_id, self._places, n=3)
            raise InputError(
                f"no gene {gene_id!r} in the annotation; {f'close: {chr(44).join(close)}; ' if close else ''}"
                "use an id from its gene_id column"
            )
        parts = []
        for name, gene in self._places[gene_id]:
            chromosome = self._chromosomes[name]
            slices = chromosome.exon_slice[chromosome.transcript_gene == gene]
            exons = np.concatenate([np.arange(start, end) for start, end in slices] or [np.arange(0)])
            parts.append(
                {
                    "transcript_id": chromosome.exon_transcript[exons],
                    "start": chromosome.exon_start[exons],
                    "end": chromosome.exon_end[exons],
                    "strand": np.full(len(exons), chromosome.genes["gene_strand"][gene], object),
                    "chromosome": np.full(len(exons), name, object),
                }
            )
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _find(self, chromosome: str) -> _Chromosome | None:
        name = match_contig(chromosome, self._chromosomes)
        return None if name is None else self._chromosomes[name]


def read_gtf(path: str | os.PathLike[str]) -> Annotation:
    """The annotation in a GTF file (may be compressed), or in a parquet or feather file made from one.

    Raises InputError, with the line where it is known, for a file that is missing, truncated or no annotation.
    """
    return Annotation(read_table(path))


def _with_rows(table: pd.DataFrame, feature: str, key: str) -> pd.DataFrame:
    """Adds rows for `feature` at the end where a table has none (UCSC's have no gene rows)."""
    if (table["Feature"] == feature).to_numpy().any():
        return table
    grouped = table[table[key] != ""].groupby(["Chromosome", key], sort=False, observed=True)
    first = [column for column in table.columns if column not in ("Start", "End", "Feature", "Chromosome", key)]
    rows = grouped.agg({"Start": "min", "End": "max"} | dict.fromkeys(first, "first")).reset_index()
    rows["Feature"] = feature
    if feature == "gene":
        rows["transcript_id"] = rows["transcript_type"] = ""
    return pd.concat([table.astype(object), rows.astype(object)], ignore_index=True)


def _index(rows: pd.DataFrame) -> _Chromosome:
    start, end = (rows[column].to_numpy("int64") for column in ("Start", "End"))
    strand, feature = rows["Strand"].to_numpy(object), rows["Feature"].to_numpy(object)
    gene = pd.factorize(rows["gene_id"].to_numpy(object))[0]
    transcript_id = rows["transcript_id"].to_numpy(object)
    is_gene, is_transcript, is_exon = (np.flatnonzero(feature == kind) for kind in ("gene", "transcript", "exon"))

    # A gene is described by its first gene row, or else by its first row.
    described = np.concatenate([is_gene, np.arange(len(rows))])
    first = described[np.unique(gene[described], return_index=True)[1]]
    columns = {"gene_id": "gene_id", "gene_name": "gene_name", "gene_type": "gene_type", "gene_strand": "Strand"}
    genes = {name: rows[column].to_numpy(object)[first] for name, column in columns.items()}
    genes |= {"gene_start": start[first], "gene_end": end[first]}
    genes["chromosome"] = rows["Chromosome"].to_numpy(object)[first]

    tss = np.where(strand[is_transcript] == "-", end[is_transcript], start[is_transcript])
    by_tss = np.argsort(tss, kind="stable")
    # Exons go next to each other by transcript; a transcript is one of a gene, since ids are reused across genes.
    number, names = pd.factorize(transcript_id)
    number = number + gene * len(names)
    exons = is_exon[np.argsort(number[is_exon], kind="stable")]
    bounds = [np.searchsorted(number[exons], number[is_transcript], side) for side in ("left", "right")]
    return _Chromosome(
        genes=genes,
        row_gene=gene[is_gene],
        row_start=start[is_gene],
        row_end=end[is_gene],
        tss=tss[by_tss],
        tss_row=by_tss,
        transcript_gene=gene[is_transcript],
        exon_slice=np.stack(bounds, axis=1),
        exon_start=start[exons],
        exon_end=end[exons],
        exon_transcript=transcript_id[exons],
    )


def _alter(chromosome: _Chromosome, genome: AlteredGenome) -> _Chromosome:
    starts, ends = genome.starts, genome.ends
    genes = chromosome.genes
    # A transcript on '-' starts at its End.
    backward = genes["gene_strand"][chromosome.transcript_gene[chromosome.tss_row]] == "-"
    tss = chromosome.tss
    tss = np.where(backward, ends(tss), starts(tss))
    by_tss = np.argsort(tss, kind="stable")
    return dataclasses.replace(
        chromosome,
        genes={**genes, "gene_start": starts(genes["gene_start"]), "gene_end": ends(genes["gene_end"])},
        row_start=starts(chromosome.row_start),
        row_end=ends(chromosome.row_end),
        tss=tss[by_tss],
        tss_row=chromosome.tss_row[by_tss],
        exon_start=starts(chromosome.exon_start),
        exon_end=ends(chromosome.exon_end),
    )


def _overlaps(chromosome: _Chromosome, variant: Variant) -> Bool[np.ndarray, " row"]:
    """Gene rows that overlap either allele of a variant (spec 2.5)."""
    last = max(variant.end, variant.start + len(variant.alternate_bases))
    return (chromosome.row_end > variant.start) & (chromosome.row_start < last)


def _sorted_exons(chromosome: _Chromosome) -> tuple[Int[np.ndarray, " exon"], Int[np.ndarray, " exon"]]:
    """Indices of exons, transcript by transcript and by position within each, and their transcripts' numbers."""
    first, last = chromosome.exon_slice.T
    sizes = last - first
    transcript = np.repeat(np.arange(len(sizes)), sizes)
    exons = np.repeat(first - np.r_[0, np.cumsum(sizes)[:-1]], sizes) + np.arange(sizes.sum())
    order = np.lexsort((chromosome.exon_start[exons], transcript))
    return exons[order], transcript[order]


def _of_type(
    chromosome: _Chromosome, genes: Int[np.ndarray, " row"], gene_types: Collection[str] | str | None
) -> Bool[np.ndarray, " row"]:
    if gene_types is None:
        return np.ones(len(genes), bool)
    wanted = {gene_types} if isinstance(gene_types, str) else set(gene_types)
    types = chromosome.genes["gene_type"][genes]
    return np.array([each in wanted for each in types], bool)


def _in_order(
    genes: Int[np.ndarray, " row"], limit: int | None = MOST_GENES
) -> tuple[Int[np.ndarray, " gene"], Int[np.ndarray, " row"]]:
    """Unique genes in order of first appearance, and for each row the number of its gene among them."""
    numbers, unique = pd.factorize(genes)
    if limit is not None and len(unique) > limit:
        raise InputError(f"{len(unique)} genes in one window, expected at most {limit}; use a shorter interval")
    return np.asarray(unique, "int64"), numbers


def _blank(interval: Interval, genes: int) -> GeneMask:
    # Laid out gene by gene, so that filling an exon touches neighbouring bytes.
    return np.zeros((genes, interval.width), bool).T


def _fill(mask: GeneMask, column: int, start: int, end: int) -> None:
    mask[max(0, start) : max(0, end), column] = True


def _rows(chromosome: _Chromosome, genes: Int[np.ndarray, " gene"]) -> GeneTable:
    return {key: values[genes] for key, values in chromosome.genes.items()}


def _no_genes() -> GeneTable:
    numbers = ("gene_start", "gene_end")
    texts = ("gene_id", "gene_name", "gene_type", "gene_strand")
    return {key: np.empty(0, "int64" if key in numbers else object) for key in (*texts, *numbers, "chromosome")}
