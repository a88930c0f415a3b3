"""A small genome with genes and a random model on it, for end-to-end tests."""

import dataclasses
import pathlib
import sys

import equinox as eqx
import numpy as np
import pytest
from ag_core.checkpoint import HeadSpec, ModelSpec, outline, save
from ag_core.config import PRESETS
from ag_core.schema import track_table

sys.path.insert(0, str(pathlib.Path(__file__).parent))

LENGTH = 20_000


@dataclasses.dataclass(frozen=True)
class World:
    """Files of a tiny world; `genome` is the sequence of its one chromosome."""

    folder: pathlib.Path
    fasta: pathlib.Path
    gtf: pathlib.Path
    model: pathlib.Path
    genome: str

    def vcf(self, name: str, *records: str, header: str = "") -> pathlib.Path:
        """A VCF with records "POS REF ALT" on chr1; REF '=' stands for the genome's base."""
        lines = ["##fileformat=VCFv4.2", *header.splitlines(), "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        for record in records:
            *chromosome, position, ref, alt = record.split()
            ref = self.genome[int(position) - 1] if ref == "=" else ref
            lines.append("\t".join([(chromosome or ["chr1"])[0], position, ".", ref, alt, ".", ".", "."]))
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def polya(self, mirror: int = 0) -> pathlib.Path:
        """Polyadenylation sites of P1 and M1, near base 5520, in a file; with `mirror`, of the mirrored world."""
        rows = [("+", start, "P1.9") for start in (5000, 5600, 6400)] + [("-", start, "M1.9") for start in (4600, 5900)]
        if mirror:
            rows = [("-+"[strand == "-"], mirror - 1 - start, gene) for strand, start, gene in rows]
        lines = ["Chromosome\tStart\tEnd\tpas_strand\tgene_id"]
        lines += [f"chr1\t{start}\t{start + 1}\t{strand}\t{gene}" for strand, start, gene in rows]
        path = self.folder / "polya.tsv"
        path.write_text("\n".join(lines) + "\n")
        return path

    def other(self, position: int) -> str:
        """A base that the genome does not have at a 1-based position."""
        return "ACGT"[("ACGT".index(self.genome[position - 1]) + 1) % 4]


def _gtf() -> str:
    lines = []
    for gene, name, kind, strand, exons in (
        ("G1.1", "ONE", "protein_coding", "+", [(4001, 4400), (8801, 9000)]),
        ("G2.1", "TWO", "lncRNA", "-", [(9501, 12000)]),
    ):
        whole = (exons[0][0], exons[-1][1])
        of_gene = f'gene_id "{gene}"; gene_name "{name}"; gene_type "{kind}";'
        for feature, (start, end) in [("gene", whole), ("transcript", whole), *(("exon", exon) for exon in exons)]:
            more = "" if feature == "gene" else f' transcript_id "T{gene}";'
            lines.append(f"chr1\tt\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{of_gene}{more}")
    return "\n".join(lines) + "\n"


def tracks(*rows: tuple[str, str, str]):
    names, strands, cells = zip(*rows, strict=True)
    return track_table(
        {"name": names, "strand": strands, "biosample_name": cells, "nonzero_mean": np.linspace(0.5, 1.5, len(rows))}
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory, randomise) -> World:
    folder = tmp_path_factory.mktemp("world")
    genome = "".join(np.random.default_rng(0).choice(list("ACGT"), LENGTH))
    fasta, gtf, model = folder / "genome.fa", folder / "genes.gtf", folder / "model"
    wrapped = "\n".join(genome[i : i + 60] for i in range(0, LENGTH, 60))
    fasta.write_text(f">chr1\n{wrapped}\n")
    gtf.write_text(_gtf())
    spec = ModelSpec(
        name="random",
        backbone=dataclasses.replace(PRESETS["tiny"], organisms=1),
        heads={
            "chip_tf": HeadSpec("chip_tf", (tracks(("CTCF", ".", "K562"), ("HNF4A", ".", "HepG2")),)),
            "rna_seq": HeadSpec(
                "rna_seq", (tracks(("rna", "+", "K562"), ("rna", "-", "K562"), ("rna all", ".", "HepG2")),)
            ),
        },
        organisms=("human",),
        window=4096,
        licence="CC0-1.0",
    )
    save(model, randomise(outline(spec)), spec)
    return World(folder, fasta, gtf, model, genome)


# Features of the genes of the world with eleven heads: id, type, strand, exons of one transcript (1-based, inclusive).
GENES = (
    ("P1.2", "protein_coding", "+", [(4001, 4400), (5201, 5500), (8801, 9000)]),
    ("M1.3", "protein_coding", "-", [(4201, 4700), (5601, 6100), (8501, 8900)]),
    ("L1.1", "lncRNA", "+", [(9501, 9900), (11001, 12000)]),
)


def gtf_text(genes, mirror: int = 0) -> str:
    """GTF of genes with one transcript each; with `mirror`, of the reverse complement of so long a chromosome."""
    lines = []
    for gene, kind, strand, exons in genes:
        if mirror:
            strand, exons = "-+"[strand == "-"], [(mirror + 1 - b, mirror + 1 - a) for a, b in reversed(exons)]
        whole = (exons[0][0], exons[-1][1])
        of_gene = f'gene_id "{gene}"; gene_name "{gene[:2]}"; gene_type "{kind}";'
        for feature, (start, end) in [("gene", whole), ("transcript", whole), *(("exon", exon) for exon in exons)]:
            more = "" if feature == "gene" else f' transcript_id "T{gene}";'
            lines.append(f"chr1\tt\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{of_gene}{more}")
    return "\n".join(lines) + "\n"


def _stranded(*names: str):
    return tracks(
        *((name, strand, cell) for name, cell in zip(names, ("K562", "HepG2"), strict=False) for strand in "+-")
    )


def _eleven_heads() -> dict[str, HeadSpec]:
    plain = {name: tracks((name, ".", "K562"), ("padding", ".", "")) for name in ("atac", "dnase", "chip_histone")}
    plain["chip_tf"] = tracks(("CTCF", ".", "K562"), ("HNF4A", ".", "HepG2"))
    plain["contact_maps"] = tracks(("hic", ".", "K562"), ("micro-c", ".", "HepG2"))
    plain |= {name: _stranded(name) for name in ("cage", "procap")}
    plain["rna_seq"] = tracks(("rna", "+", "K562"), ("rna", "-", "K562"), ("rna all", ".", "HepG2"))
    classes = [("donor", "+"), ("acceptor", "+"), ("donor", "-"), ("acceptor", "-"), ("Padding", ".")]
    plain["splice_sites"] = track_table(dict(zip(("name", "strand"), zip(*classes, strict=True), strict=True)))
    plain["splice_site_usage"] = _stranded("usage", "usage too")
    plain["splice_junctions"] = tracks(("liver", ".", "HepG2"), ("blood", ".", "K562"), ("padding", ".", ""))
    options = {"splice_junctions": {"sites": 24, "threshold": 0.1, "hidden": 8}}
    return {name: HeadSpec(name, (table,), options.get(name, {})) for name, table in plain.items()}


@pytest.fixture(scope="session")
def eleven(world, randomise) -> World:
    """The same genome with other genes, and a model that has all eleven heads."""
    folder = world.folder / "eleven"
    folder.mkdir()
    gtf, model = folder / "genes.gtf", folder / "model"
    gtf.write_text(gtf_text(GENES))
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1)
    spec = ModelSpec("random eleven", backbone, _eleven_heads(), ("human",), 4096, "CC0-1.0")
    network = randomise(outline(spec), seed=1)
    for name in ("splice_sites", "splice_site_usage"):  # random logits are large: nearly all bases would be sites
        network = eqx.tree_at(lambda m, n=name: m.heads[n].linear.weight, network, replace_fn=lambda w: 0.05 * w)
    save(model, network, spec)
    return dataclasses.replace(world, folder=folder, gtf=gtf, model=model)


@pytest.fixture(scope="session")
def mirrored(eleven) -> World:
    """The world as the other strand shows it: reverse complement, with the genes in their places."""
    folder = eleven.folder / "mirror"
    folder.mkdir()
    genome = eleven.genome.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    fasta, gtf = folder / "genome.fa", folder / "genes.gtf"
    fasta.write_text(f">chr1\n{genome}\n")
    gtf.write_text(gtf_text(GENES, mirror=LENGTH))
    return dataclasses.replace(eleven, folder=folder, fasta=fasta, gtf=gtf, genome=genome)
