"""What a page takes as given: small files under the names that it uses, and names of Python that its text explains.

`locus` is the data of examples/data: the HNF4A locus, whose one record keeps its places on chr20. `lab` is a genome of
two small chromosomes with measured tracks.
"""

import dataclasses
import functools
import gzip
import os
import pathlib
import shutil
from collections.abc import Callable

import jax
import numpy as np
import pybigtools
import pysam
from ag_core import PRESETS, HeadSpec, ModelSpec, save, track_table
from ag_core.checkpoint import build
from doc_blocks import ROOT

DATA = ROOT / "examples" / "data"


@dataclasses.dataclass(frozen=True)
class Setting:
    """`files` fills the page's folder; `before` is Python; `after` names pages that a reader has gone through."""

    files: Callable[[pathlib.Path], object] = pathlib.Path.exists
    before: str = ""
    after: tuple[str, ...] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    slow: bool = True  # with all its programs to compile; False: some seconds
    shared: bool = False  # needs the real data sets, and gets AG_DATA


def examples(folder: pathlib.Path, variants: int = 200) -> None:
    """examples/data; with fewer variants where all 200 would take long."""
    shutil.copytree(DATA, folder / "examples" / "data")
    if variants < 200:
        vcf(folder / "examples" / "data" / "HNF4A.mpra.vcf.gz", slice(0, variants))


def locus(folder: pathlib.Path, variants: int = 4, of_examples: int = 12) -> None:
    """ref.fa, genes.gtf.gz, in.vcf.gz (the first variants) and examples/data."""
    examples(folder, of_examples)
    (folder / "ref.fa").write_bytes(gzip.decompress((DATA / "HNF4A.hg38.fa.gz").read_bytes()))
    shutil.copy(DATA / "HNF4A.hg38.gtf.gz", folder / "genes.gtf.gz")
    vcf(folder / "in.vcf.gz", slice(0, variants))


def vcf(path: pathlib.Path, rows: slice) -> None:
    """Some of the measured variants, with an index."""
    lines = gzip.decompress((DATA / "HNF4A.mpra.vcf.gz").read_bytes()).decode().splitlines()
    records = [line for line in lines if not line.startswith("#")][rows]
    text = "\n".join([*(line for line in lines if line.startswith("#")), *records, ""])
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(text.encode())
    pysam.tabix_index(str(path), preset="vcf", force=True)


LENGTH = 200_000
# Gene, strand, exons (1-based, both ends included).
GENES = (
    ("A", "+", [(20_001, 20_400), (24_001, 24_300), (30_001, 31_000)]),
    ("B", "-", [(60_001, 61_000), (64_001, 64_300), (70_001, 70_400)]),
    ("C", "+", [(120_001, 120_400), (125_001, 126_000)]),
    ("D", "-", [(160_001, 161_000), (166_001, 166_400)]),
)


def gtf() -> str:
    lines = []
    for chromosome in ("chr1", "chr2"):
        for name, strand, exons in GENES:
            gene = f"G{chromosome[-1]}{name}"
            text = f'gene_id "{gene}.1"; gene_name "{gene}"; gene_type "protein_coding";'
            whole = (exons[0][0], exons[-1][1])
            for feature, (start, end) in [("gene", whole), ("transcript", whole), *(("exon", exon) for exon in exons)]:
                more = "" if feature == "gene" else f' transcript_id "T{gene}.1"; transcript_type "protein_coding";'
                lines.append(f"{chromosome}\tt\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{text}{more}")
    return "\n".join(lines) + "\n"


def genome(path: pathlib.Path, *chromosomes: str, length: int = LENGTH, seed: int = 0) -> None:
    """A FASTA file of random bases; bgzip if the name says so."""
    random = np.random.default_rng(seed)
    text = ""
    for chromosome in chromosomes:
        bases = "".join(random.choice(list("ACGT"), length))
        text += f">{chromosome}\n" + "\n".join(bases[i : i + 80] for i in range(0, length, 80)) + "\n"
    if path.suffix == ".gz":
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(text.encode())
    else:
        path.write_text(text)


def counts(path: pathlib.Path, strand: str, seed: int) -> None:
    """Counted first bases of RNA: many at the starts of the strand's genes, few elsewhere."""
    random = np.random.default_rng(seed)
    values = random.poisson(0.02, LENGTH)
    for _, of_gene, exons in GENES:
        if of_gene == strand:
            start = exons[0][0] if strand == "+" else exons[-1][1]
            values[start - 50 : start + 50] += random.poisson(20 * random.random(100))
    entries = [
        (name, int(i), int(i) + 1, float(values[i])) for name in ("chr1", "chr2") for i in np.flatnonzero(values)
    ]
    pybigtools.open(str(path), "w").write({"chr1": LENGTH, "chr2": LENGTH}, iter(entries))


MANIFEST = """
genome: genome.fa
organism: human
annotation: genes.gtf.gz
tracks:
  - {path: {"+": plus.bw, "-": minus.bw}, modality: cage, name: CAGE K562, biosample_name: K562}
"""


def lab(folder: pathlib.Path) -> None:
    """genome.fa, genes.gtf.gz, a stranded pair of bigWigs, manifest.yaml and folds.bed."""
    genome(folder / "genome.fa", "chr1", "chr2")
    (folder / "genes.gtf.gz").write_bytes(gzip.compress(gtf().encode()))
    counts(folder / "plus.bw", "+", 1)
    counts(folder / "minus.bw", "-", 2)
    (folder / "manifest.yaml").write_text(MANIFEST)
    (folder / "folds.bed").write_text(f"chr1\t0\t{LENGTH}\ttrain\nchr2\t0\t{LENGTH}\ttest\n")


def sites(folder: pathlib.Path) -> None:
    """polya_db.tsv: a polyadenylation site at the end of each gene."""
    locus(folder)
    lines = gzip.decompress((folder / "genes.gtf.gz").read_bytes()).decode().splitlines()
    rows = ["Chromosome\tStart\tStrand"]
    for fields in (line.split("\t") for line in lines):
        if len(fields) > 8 and fields[2] == "gene":
            last = int(fields[4]) if fields[6] == "+" else int(fields[3])
            rows.append(f"{fields[0]}\t{last - 1}\t{fields[6]}")
    (folder / "polya_db.tsv").write_text("\n".join([*rows, ""]))


def readme(folder: pathlib.Path) -> None:
    locus(folder)
    genome(folder / "genome.fa", "chr1", "chr2")
    counts(folder / "plus.bw", "+", 1)
    counts(folder / "minus.bw", "-", 2)
    (folder / "manifest.yaml").write_text(MANIFEST.replace("annotation: genes.gtf.gz\n", ""))


def peaks(folder: pathlib.Path) -> None:
    locus(folder)
    (folder / "peaks.bed").write_text("chr20\t44355000\t44355500\tpeak_1\nchr20\t44400000\t44400500\tpeak_2\n")


def phased(folder: pathlib.Path) -> None:
    """phased.vcf.gz: two alleles on one haplotype of NA12878, a third on the other."""
    locus(folder)
    fields = (
        "##fileformat=VCFv4.2",
        "##contig=<ID=chr20>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="alleles">',
    )
    names = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "NA12878"]
    rows = [("44355780", "G", "A", "1|0"), ("44355804", "C", "T", "1|0"), ("44355820", "A", "G", "0|1")]
    records = [("chr20", place, ".", ref, alt, ".", ".", ".", "GT", alleles) for place, ref, alt, alleles in rows]
    text = "\n".join([*fields, *map("\t".join, [names, *records]), ""])
    with pysam.BGZFile(str(folder / "phased.vcf.gz"), "wb") as file:
        file.write(text.encode())


def common(folder: pathlib.Path) -> None:
    """common.vcf.gz with enough SNVs for a table, two halves of it, and a tiny model with random weights."""
    locus(folder)
    vcf(folder / "in.vcf.gz", slice(110, 120))
    bases = "".join((folder / "ref.fa").read_text().splitlines()[1:])
    places = range(20_000, 20_000 + 1_100 * 40, 40)
    records = [(44_329_613 + at, bases[at].upper(), "ACGT"["ACGT".find(bases[at].upper()) - 1]) for at in places]
    halves = {"common": records, "chr21": records[:550], "chr22": records[550:]}
    for name, some in halves.items():
        lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        lines += [f"chr20\t{place}\t.\t{ref}\t{alt}\t.\t.\t." for place, ref, alt in some]
        (folder / f"{name}.vcf.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    tracks = track_table({"name": ["CTCF", "HNF4A"], "strand": [".", "."], "nonzero_mean": [1.0, 1.0]})
    spec = ModelSpec(
        "mine", PRESETS["tiny"], {"chip_tf": HeadSpec("chip_tf", (tracks, tracks))}, ("human", "mouse"), 4096, "CC0-1.0"
    )
    save(folder / "my-model", build(spec, key=jax.random.key(0)), spec)


def measured(folder: pathlib.Path) -> None:
    """For evaluations: peaks on a small chr22, and a table of effects."""
    locus(folder)
    genome(folder / "hg19.chr22.fa.gz", "chr22", length=100_000)
    starts = range(20_000, 80_000, 3_000)
    rows = [f"chr22\t{start}\t{start + 200}\tCTCF\tHepG2\t10\t3\t100" for start in starts]
    header = "chrom start end tf cell signalValue qValue summit".replace(" ", "\t")
    (folder / "peaks.tsv.gz").write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode()))
    variants = gzip.decompress((DATA / "HNF4A.mpra.vcf.gz").read_bytes()).decode().splitlines()
    records = [line.split("\t") for line in variants if not line.startswith("#")][:12]
    effects = ["\t".join((r[0], r[1], r[3], r[4], r[7].split(";")[0].split("=")[1])) for r in records]
    (folder / "mine.tsv").write_text("\n".join(["chrom\tpos\tref\talt\tbeta", *effects, ""]))
    shutil.copy(folder / "ref.fa", folder / "genome.fa")


def stores(folder: pathlib.Path) -> None:
    """The manifests hg19.yaml and yeast.yaml, and what they read."""
    shared = pathlib.Path(os.environ["AG_DATA"])
    for name in ("hg19.yaml", "yeast.yaml"):
        shutil.copy(ROOT / "docs" / "manifests" / name, folder)
    with pysam.BGZFile(str(folder / "chr1.fa.gz"), "wb") as fasta:
        fasta.write(b">chr1\n" + b"\n".join([b"N" * 1_000] * 249_250 + [b"N" * 621]) + b"\n")
    bam = folder / "reads" / "hg19_chr22_HCC1395_RNAseq.bam"
    bam.parent.mkdir()
    shutil.copy(shared / "fixtures" / "formats" / bam.name, bam)
    pysam.index(str(bam))
    tracks = shared / "hg19_tracks" / "chrX_20_22"
    for chromosome in ("chr20", "chr22"):
        shutil.copy(tracks / f"gencode_lift37.exons.{chromosome}.gtf.gz", folder)
    shutil.copy(tracks / "gencode_lift37.exons.chr22.gtf.gz", folder / "genes.gtf.gz")


ENGINE = """
from ag_data import Fasta, read_gtf, read_variants
from ag_scorers import open_engine
engine = open_engine(Fasta("ref.fa"), gtf="genes.gtf.gz")
calls = list(read_variants("in.vcf.gz"))
"""

STITCHED = """
import numpy as np
from ag_core import Variant, allele_sequences, encode, load
from ag_data import Fasta
fasta, model, organism = Fasta("ref.fa"), load("mini").model, 0
variant = Variant("chr20", 44355804, "C", "CAGT")
interval = variant.reference_interval.resize(16384)
codes = np.stack([encode(bases) for bases in allele_sequences(interval, variant, fasta.fetch)])
"""

INTERVAL = """
from ag_core import Interval, load
from ag_data import Fasta, read_gtf
checkpoint, fasta, annotation = load("mini"), Fasta("ref.fa"), read_gtf("genes.gtf.gz")
interval = Interval("chr20", 44_355_000, 44_356_000).resize(16384)
"""

MESH = """
import jax, jax.numpy as jnp
from ag_core import PRESETS, load, one_hot
model = load("mini").model
dna, organism = one_hot(jnp.zeros((2, 16384), jnp.uint8)), jnp.zeros(2, jnp.int32)
"""

GALLERY = f"""
import os, sys
os.chdir({str(ROOT)!r})
sys.path.insert(0, {str(ROOT / "examples")!r})
import gallery
from gallery import coding_parts
data = gallery.Data()
"""


SETTINGS = {
    "README.md": Setting(readme),
    "docs/attribution.md": Setting(peaks),
    "docs/browser.md": Setting(locus),
    "docs/calibration.md": Setting(common, ENGINE),
    "docs/concepts.md": Setting(slow=False),
    "docs/data-doctor.md": Setting(lab),
    "docs/evaluation.md": Setting(measured),
    "docs/gallery.md": Setting(before=GALLERY),
    "docs/haplotypes.md": Setting(phased),
    "docs/indels.md": Setting(locus, STITCHED),
    "docs/how-to/compose-a-suite.md": Setting(examples),
    "docs/how-to/fine-tune-on-your-bam.md": Setting(examples),
    "docs/how-to/run-on-slurm.md": Setting(functools.partial(examples, variants=80)),
    "docs/how-to/score-a-vcf.md": Setting(examples),
    "docs/how-to/serve-your-lab.md": Setting(examples),
    "docs/how-to/write-a-scorer.md": Setting(examples),
    "docs/loading.md": Setting(after=("docs/data-layout.md",)),
    "docs/mutagenesis.md": Setting(functools.partial(locus, of_examples=200)),
    "docs/partial-evaluation.md": Setting(slow=False),
    "docs/plugins.md": Setting(slow=False),
    "docs/prediction.md": Setting(peaks),
    "docs/quickstart.md": Setting(locus),
    "docs/reports.md": Setting(locus),
    "docs/score-outputs.md": Setting(locus, ENGINE),
    "docs/scoring.md": Setting(sites, INTERVAL),
    "docs/scoring-at-scale.md": Setting(locus),
    "docs/serving.md": Setting(locus),
    "docs/sharding.md": Setting(before=MESH, environment={"JAX_NUM_CPU_DEVICES": "8"}, slow=False),
    "docs/track-pictures.md": Setting(stores, shared=True),
    "docs/track-stores.md": Setting(lab),
    "docs/training.md": Setting(shared=True),
    "docs/vcf-doctor.md": Setting(locus),
}
