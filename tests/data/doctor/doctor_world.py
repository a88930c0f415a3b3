"""Small worlds with known truth: a genome with genes, and what ATAC-seq, RNA-seq, CAGE and ChIP-seq would see of it.

Counts come from one generator each, with what makes real data difficult: Tn5's taste for sites (the same in all cells,
with echoes 2, 5 and 10 bp away), expression over several orders of magnitude, reads on the wrong strand and between
genes, replicates that differ by more than chance.
"""

import dataclasses
import functools
import gzip
import pathlib

import numpy as np
import pybigtools
import pysam

LENGTHS = {"chr1": 400_000, "chr2": 300_000, "chr3": 200_000}
READ = 75
BASES = np.frombuffer(b"ACGTN", np.uint8)

Counts = dict[str, np.ndarray]  # chromosome -> one value for each base


@dataclasses.dataclass(frozen=True)
class Gene:
    chromosome: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    expression: float

    @property
    def start(self):
        return self.exons[0][0]

    @property
    def end(self):
        return self.exons[-1][1]

    @property
    def first_base(self):
        return self.start if self.strand == "+" else self.end - 1


class World:
    """A genome and its genes; everything else is drawn from `seed`."""

    def __init__(self, seed: int, lengths=LENGTHS):
        self.seed, self.random = seed, np.random.default_rng([7, seed])
        self.lengths = dict(lengths)
        self.codes = {name: self.random.integers(0, 4, size).astype(np.uint8) for name, size in lengths.items()}
        self.genes = [gene for name in lengths for gene in self._genes(name)]
        for gene in self.genes:
            for (_, end), (start, _) in zip(gene.exons[:-1], gene.exons[1:], strict=True):
                motif = "GTAG" if gene.strand == "+" else "CTAC"
                codes = ["ACGT".index(base) for base in motif]
                self.codes[gene.chromosome][[end, end + 1, start - 2, start - 1]] = codes

    @functools.cached_property
    def sites(self) -> Counts:
        random = np.random.default_rng([17, self.seed])
        return {name: self._sites(name, random) for name in self.lengths}

    def _genes(self, chromosome):
        at = 2000
        while True:
            exons = []
            for _ in range(self.random.integers(3, 7)):
                width = int(self.random.integers(150, 400))
                exons.append((at, at + width))
                at += width + int(self.random.integers(300, 1500))
            if exons[-1][1] > self.lengths[chromosome] - 2000:
                return
            # Some genes are silent, and none has more than a few percent of all reads.
            silent = self.random.random() < 0.3
            expression = 0.0 if silent else min(float(self.random.lognormal(0, 1.2)), 8.0)
            yield Gene(chromosome, str(self.random.choice(["+", "-"])), tuple(exons), expression)
            at = exons[-1][1] + int(self.random.integers(1200, 4000))

    def _sites(self, chromosome, random):
        """How likely Tn5 binds at each base: open chromatin, times its taste."""
        size = self.lengths[chromosome]
        openness = np.ones(size)
        centres = [gene.first_base for gene in self.genes if gene.chromosome == chromosome and gene.expression]
        for centre in [*centres, *random.integers(500, size - 500, size // 30_000)]:
            around = np.arange(max(0, centre - 300), min(size, centre + 300))
            openness[around] += random.gamma(2, 10) * np.exp(-np.square((around - centre) / 120))
        taste = random.gamma(0.15, 1 / 0.15, size)
        # In yeast and human libraries, pairs 5 bp apart are 0.4 to 0.6 times as many above chance as those 8 bp apart.
        echoes = ((2, 0.06), (5, 0.12), (10, 0.1))
        taste = taste + sum(share * (np.roll(taste, d) + np.roll(taste, -d)) for d, share in echoes)
        sites = openness * taste
        return sites / sites.sum()

    # What assays see

    def atac(self, ends: float, random) -> tuple[Counts, Counts]:
        """First bases of reads on '+' and on '-' (their last base along the chromosome), not shifted."""
        share = {name: size / sum(self.lengths.values()) for name, size in self.lengths.items()}
        plus, minus = {}, {}
        for name, sites in self.sites.items():
            rate = sites * _drift(len(sites), random) * share[name] * ends / 2
            plus[name] = random.poisson(rate)
            minus[name] = np.roll(random.poisson(rate), 8)  # the other end of the 9 bp between the two cuts
        return plus, minus

    def rna(self, reads: int, random, wrong_strand: float = 0.02) -> tuple[Counts, Counts]:
        """Coverage by reads of '+' and of '-' genes."""
        edges = {sign: {name: np.zeros(size + 1) for name, size in self.lengths.items()} for sign in "+-"}
        for name, size in self.lengths.items():
            share = 0.025 * size / sum(self.lengths.values())
            for sign in "+-":
                starts = random.integers(0, size - READ, random.poisson(reads * share))
                np.add.at(edges[sign][name], starts, 1)
                np.add.at(edges[sign][name], starts + READ, -1)
        sides = {sign: {name: np.cumsum(values)[:-1] for name, values in edges[sign].items()} for sign in "+-"}
        for gene, number in zip(self.genes, self._reads_of_genes(reads * 0.95, random), strict=True):
            bases = np.concatenate([np.arange(start, end) for start, end in gene.exons])
            starts = random.integers(0, max(1, len(bases) - READ), number)
            flipped = random.random(number) < wrong_strand
            for side, chosen in ((gene.strand, starts[~flipped]), ("-+"["+-".index(gene.strand)], starts[flipped])):
                covered = np.zeros(len(bases) + 1)
                np.add.at(covered, chosen, 1)
                np.add.at(covered, np.minimum(chosen + READ, len(bases)), -1)
                sides[side][gene.chromosome][bases] += np.cumsum(covered)[:-1]  # introns are skipped
        return sides["+"], sides["-"]

    def cage(self, tags: int, random) -> tuple[Counts, Counts]:
        """First bases of capped RNAs on '+' and on '-'."""
        counts = {sign: {name: np.zeros(size) for name, size in self.lengths.items()} for sign in "+-"}
        for gene, number in zip(self.genes, self._reads_of_genes(tags, random), strict=True):
            shape = np.random.default_rng(gene.start)  # the same in all replicates
            offsets = np.round(shape.normal(0, 12, 40)).astype(int)
            weights = shape.dirichlet(np.full(40, 0.4))
            at = gene.first_base + random.choice(offsets, number, p=weights)
            inside = random.random(number) < 0.1  # caps of what was cut
            at[inside] = random.integers(gene.start, gene.end, inside.sum())
            flipped = random.random(number) < 0.02
            for side, chosen in ((gene.strand, at[~flipped]), ("-+"["+-".index(gene.strand)], at[flipped])):
                np.add.at(counts[side][gene.chromosome], chosen, 1)
        return counts["+"], counts["-"]

    def chip(self, reads: int, random) -> Counts:
        """Coverage by fragments of 200 bp around starts of genes, and everywhere else."""
        counts = {}
        for name, size in self.lengths.items():
            rate = np.ones(size)
            for gene in self.genes:
                if gene.chromosome == name and gene.expression:
                    around = np.arange(max(0, gene.first_base - 800), min(size, gene.first_base + 800))
                    rate[around] += 30 * np.exp(-np.square((around - gene.first_base) / 300))
            rate *= _drift(size, random)
            starts = random.poisson(rate / rate.sum() * reads * size / sum(self.lengths.values()))
            counts[name] = pile_up(starts, 200)
        return counts

    def _reads_of_genes(self, reads, random):
        share = np.array([gene.expression for gene in self.genes]) * random.gamma(20, 1 / 20, len(self.genes))
        return random.poisson(share / share.sum() * reads)

    # Files

    def write_genome(self, folder: pathlib.Path) -> pathlib.Path:
        path = folder / "genome.fa"
        with path.open("wb") as file:
            for name, codes in self.codes.items():
                file.write(b">" + name.encode() + b"\n" + BASES[codes].tobytes() + b"\n")
        pysam.faidx(str(path))
        return path

    def write_genes(self, folder: pathlib.Path, moved: int = 0) -> pathlib.Path:
        """GTF with exons; `moved` bp off where they should be."""
        path = folder / "genes.gtf.gz"
        with gzip.open(path, "wt") as file:
            for number, gene in enumerate(self.genes):
                text = f'gene_id "G{number}"; transcript_id "T{number}"; gene_type "protein_coding";'
                for start, end in gene.exons:
                    place = f"{start + 1 + moved}\t{end + moved}"
                    file.write(f"{gene.chromosome}\tw\texon\t{place}\t.\t{gene.strand}\t.\t{text}\n")
        return path

    def introns(self) -> list[tuple[str, int, int, str]]:
        return [
            (gene.chromosome, end, start, gene.strand)
            for gene in self.genes
            for (_, end), (start, _) in zip(gene.exons[:-1], gene.exons[1:], strict=True)
        ]


def _drift(size, random):
    """What differs between replicates besides chance: openness of each kilobase."""
    return np.repeat(random.gamma(25, 1 / 25, size // 1000 + 1), 1000)[:size]


def pile_up(starts: np.ndarray, width: int) -> np.ndarray:
    """Coverage by reads of `width` bases."""
    total = np.cumsum(np.r_[np.zeros(width), starts])
    return total[width:] - total[:-width]


def cut_sites(plus: Counts, minus: Counts, shift=(4, -5)) -> Counts:
    """Both ends of reads, moved by `shift` on '+' and on '-'."""
    return {name: np.roll(plus[name], shift[0]) + np.roll(minus[name], shift[1]) for name in plus}


def change(counts: Counts, function) -> Counts:
    return {name: function(values) for name, values in counts.items()}


def write_bigwig(path: pathlib.Path, counts: Counts, lengths=None) -> pathlib.Path:
    """Runs of equal values; zeros are left out. `lengths` go into the header, and cut the data."""
    lengths = lengths or {name: len(values) for name, values in counts.items()}

    def entries():
        for name in sorted(counts):
            values = np.asarray(counts[name], np.float32)[: lengths[name]]
            first = np.flatnonzero(
                np.r_[True, (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))]
            )
            for start, end in zip(first.tolist(), [*first[1:].tolist(), len(values)], strict=True):
                if values[start] != 0:
                    yield name, start, end, float(values[start])

    pybigtools.open(str(path), "w").write(lengths, entries())
    return path
