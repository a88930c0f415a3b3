"""Tables of the field as text: variants, genes, regions, junctions, fragments, targets, sequences."""

import functools
import gzip
import pathlib

from ag_core.genome import Interval
from subject import DATA, Subject


def _texts(*texts: str):
    return lambda folder: [text.encode() for text in texts]


def _source(name: str, **options):
    def read(path: pathlib.Path) -> None:
        from ag_core.plugins import registry

        source = registry().create("sources", name, path, **options)
        source.tracks(), source.facts()
        for chromosome in list(source.chromosomes())[:3]:
            source.read(Interval(chromosome, 0, 1024))
            source.read(Interval(chromosome, 44_355_584, 44_356_608))

    return read


@functools.cache
def _fasta():
    from ag_data.fasta import Fasta

    return Fasta(DATA / "HNF4A.hg38.fa.gz")


_HEAD = """##fileformat=VCFv4.2
##INFO=<ID=AF,Number=A,Type=Float,Description="x">
##INFO=<ID=END,Number=1,Type=Integer,Description="x">
##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="x">
##ALT=<ID=DEL,Description="x">
##contig=<ID=chr20,length=64444167>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
_VCF = (
    _HEAD
    + "chr20\t44355804\t.\tC\tT,CA\t.\tPASS\tAF=0.1,0.2\nchr20\t44355810\trs1\tA\t<DEL>\t9\t.\tEND=44355815;SVLEN=-5\n"
    "20\t44355900\t.\tACG\tA\t.\t.\t.\nchr9\t5\t.\tN\t*\t.\t.\t.\n"
)


def _vcf_seeds(folder: pathlib.Path) -> list[bytes]:
    whole = gzip.decompress((DATA / "HNF4A.mpra.vcf.gz").read_bytes()).decode()
    return [_VCF.encode(), "\n".join(whole.splitlines()[:40]).encode()]


def _variants(path: pathlib.Path) -> None:
    from ag_data.variants import check_calls, read_header, read_variants

    read_header(path)
    for call in check_calls(read_variants(path), _fasta(), 10_000):
        str(call), call.status


def _doctor(path: pathlib.Path) -> None:
    from ag_data.vcf.doctor import examine_vcf
    from ag_data.vcf.writer import write_repaired

    examine_vcf(path, _fasta(), 10_000).to_dict()
    write_repaired(path, path.with_name("repaired.vcf"), _fasta(), 10_000)


def _genotypes(path: pathlib.Path) -> None:
    from ag_data.phased import read_genotypes

    list(read_genotypes(path, "S1"))


_PHASED = _HEAD.strip() + "\tFORMAT\tS1\tS2\n" + (
    "chr20\t44355804\t.\tC\tT\t.\tPASS\t.\tGT:PS\t0|1:7\t1|1:7\nchr20\t44355900\t.\tA\tG,T\t.\t.\t.\tGT\t1|2\t./.\n"
)  # fmt: skip
_PHASED = _PHASED.replace("##contig", '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n##contig').replace(
    "##contig", '##FORMAT=<ID=PS,Number=1,Type=Integer,Description="p">\n##contig'
)


def _gtf_seeds(folder: pathlib.Path) -> list[bytes]:
    whole = gzip.decompress((DATA / "HNF4A.hg38.gtf.gz").read_bytes()).splitlines(keepends=True)
    small = (
        b'chr1\tt\tgene\t1\t90\t.\t+\t.\tgene_id "G"; gene_type "x";\n'
        b'chr1\tt\ttranscript\t1\t90\t.\t+\t.\tgene_id "G"; transcript_id "T";\n'
    )
    return [b"".join(whole[:40]), small + small.replace(b"transcript\t", b"exon\t").replace(b"T\t", b"T\t")]


def _gtf(path: pathlib.Path) -> None:
    from ag_data.annotation import read_gtf

    found = read_gtf(path)
    found.introns(), found.last_exons()
    found.exon_masks(Interval("chr20", 44_355_000, 44_356_000))


def _regions(path: pathlib.Path) -> None:
    from ag_data.regions import Regions, read_regions

    assert Regions(read_regions(path)).size >= 0


def _peaks(path: pathlib.Path) -> None:
    from ag_data.regions import read_peaks

    read_peaks(path)


def _bed_places(path: pathlib.Path) -> None:
    from ag_scorers.predictor.places import Windows, gather_places

    gather_places(Windows(16384, None), fasta=_fasta(), bed=path)


def _sequences(path: pathlib.Path) -> None:
    from ag_scorers.predictor.places import Windows, gather_places

    gather_places(Windows(16384, None), sequences=path)


def _targets(path: pathlib.Path) -> None:
    from ag_data.targets_table import manifest_entries

    manifest_entries(path)


def _sites(path: pathlib.Path) -> None:
    from ag_data.splice_sites import read_splice_sites

    read_splice_sites(path).mask(Interval("chr1", 0, 200))


def _polya(path: pathlib.Path) -> None:
    from ag_data.polyadenylation import read_polyadenylation

    read_polyadenylation(path).sites_of("G1", "+")


def _usage(path: pathlib.Path) -> None:
    gtf = path.with_name("genes.gtf")
    exon = 'chr1\tt\texon\t{}\t{}\t.\t+\t.\tgene_id "G"; transcript_id "T";\n'
    gtf.write_text(exon.format(101, 150) + exon.format(301, 400) + exon.format(501, 600))
    _source("exon_usage", annotation=str(gtf), one_based=True)(path)


def _fasta_file(path: pathlib.Path) -> None:
    from ag_data.fasta import Fasta

    for name in (".fai", ".gzi"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    found = Fasta(path)
    for name in list(found.lengths)[:3]:
        assert len(found.fetch(Interval(name, -3, 20))) == 23


def _fasta_index(path: pathlib.Path) -> None:
    from ag_data.fasta import Fasta

    genome = path.with_name("genome.fa")
    genome.write_text(">chr1 x\nACGTACGTAC\nGTACGTNNNN\nAC\n>chr2\nACGT\n")
    path.replace(genome.with_name("genome.fa.fai"))
    found = Fasta(genome)
    for name in list(found.lengths)[:3]:
        assert len(found.fetch(Interval(name, 0, 20))) == 20


def _meme(path: pathlib.Path) -> None:
    from ag_scorers.attribution.meme import read_meme

    read_meme(path)


def _keys(path: pathlib.Path) -> None:
    from ag_scorers.serve.limits import Accounts
    from ag_scorers.serve.settings import Settings

    Accounts(Settings(), path)


_PEAKS = (
    "chr1\t100\t200\tp1\t500\t+\t3.5\t2.0\t1.5\t40\n"
    "chr1\t300\t350\tp2\t0\t.\t1\t-1\t-1\t10\n"
    "chr2\t5\t9\tp3\t1000\t-\t9\t1\t1\t2\n"
)
_BED = (
    "#c\n"
    "track name=x\n"
    "chr20\t44355000\t44355400\tfold0\t0\t-\n"
    "chr20\t44356000\t44356100\tfold1\n"
    "chr20\t44355010\t44355020\ta/../b\n"
)
_STAR = "chr1\t101\t200\t1\t1\t1\t12\t3\t40\nchr1\t301\t400\t2\t2\t0\t5\t0\t12\nchr2\t7\t90\t0\t0\t0\t4\t0\t8\n"
_REGTOOLS = "chr1\t90\t210\tJ1\t12\t+\t90\t210\t255,0,0\t2\t10,10\t0,110\n"
_PSI = "Chromosome,Start,End,Strand,gene_id,liver,brain\nchr1,101,150,+,G,1.0,0.8\nchr1,301,400,+,G,0.4,0\n"
_TARGETS = (
    "\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription\n"
    "0\tC1+\tc1.bw\t384\t8\t1.0\tsum_sqrt\t1\tCAGE:liver\n1\tC1-\tc2.bw\t384\t8\t1.0\tsum_sqrt\t0\tCAGE:liver\n"
    "2\tD1\td1.bw\t128\t32\t2.0\tmean\t2\tDNASE:heart: left\n"
)
_MEME = (
    "MEME version 5\n"
    "\n"
    "ALPHABET= ACGT\n"
    "\n"
    "MOTIF a b\n"
    "letter-probability matrix: alength= 4 w= 2\n"
    "0.1 0.2 0.3 0.4\n"
    "0.25 0.25 0.25 0.25\n"
    "\n"
)
_BEDGRAPH = "#x\ntrack type=bedGraph\nchr1\t0\t10\t0.5\nchr1\t10\t20\t3\nchr2\t4\t9\t-1e3\n"
_FRAGMENTS = "#c\nchr1\t10\t60\tAAC-1\t2\nchr1\t70\t190\tGGG-1\t1\nchr2\t5\t100\tAAC-1\t1\n"
_TAGALIGN = "chr1\t10\t60\tN\t1000\t+\nchr1\t20\t70\tN\t1000\t-\nchr2\t5\t55\tN\t9\t+\n"
_BEDPE = "chr1\t10\t60\tchr1\t90\t140\tr\t30\t+\t-\nchr2\t1\t9\tchr2\t5\t19\tq\t3\t+\t-\n"
_CONTACTS = (
    "chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tcount\n"
    "chr1\t0\t2048\tchr1\t2048\t4096\t5\n"
    "chr1\t0\t2048\tchr1\t0\t2048\t9\n"
)
_SITES = "Chromosome\tPosition\tStrand\tKind\nchr1\t100\t+\tdonor\nchr1\t150\t+\tacceptor\n"
_POLYA = "Chromosome\tStart\tEnd\tpas_strand\tgene_id\nchr1\t100\t101\t+\tG1\nchr1\t300\t301\t+\tG1\n"
_FASTA = ">chr1 x\nACGTNACGT\nACGTNACGT\nAC\n>chr2\nacgtRYK\n"
_READS = ">a/b x\n" + "ACGT" * 512 + "\n>c\n" + "N" * 2048 + "\n"

SUBJECTS = (
    Subject("vcf", _vcf_seeds, _variants, ".vcf", words=(b"<DUP>", b"<INV>", b"END=", b"SVLEN=", b"chr20", b"N", b"*")),
    Subject("vcf-doctor", _vcf_seeds, _doctor, ".vcf", words=(b"<DUP>", b"<INS>", b"END=", b"N[chr2:5[", b"AF=")),
    Subject("vcf-phased", _texts(_PHASED), _genotypes, ".vcf", words=(b"0|1", b"1/1", b".", b"GT", b"PS", b"|")),
    Subject("vcf-gz", lambda folder: [(DATA / "HNF4A.mpra.vcf.gz").read_bytes()], _variants, ".vcf.gz", binary=True),
    Subject("gtf", _gtf_seeds, _gtf, ".gtf", words=(b"exon", b"transcript_id", b"gene_id", b";", b"+")),
    Subject("regions", _texts(_BED, _PEAKS), _regions, ".bed"),
    Subject("bed-places", _texts(_BED), _bed_places, ".bed", named=False, words=(b"chr20",)),
    Subject("narrow-peaks", _texts(_PEAKS), _peaks, ".narrowPeak"),
    Subject("peaks", _texts(_PEAKS, _PEAKS.replace("\t+", "\t.")), _source("peaks", stranded=False), ".narrowPeak"),
    Subject("peaks-summits", _texts(_PEAKS), _source("peaks", value="signal", summit_window=10), ".narrowPeak"),
    Subject("bedgraph", _texts(_BEDGRAPH), _source("bedgraph"), ".bedgraph"),
    Subject("junctions", _texts(_STAR, _REGTOOLS), _source("junctions"), ".tab"),
    Subject("junction-usage", _texts(_STAR), _source("junctions", layout="usage", multi=True), ".tab"),
    Subject("fragments", _texts(_FRAGMENTS), _source("fragments"), ".tsv"),
    Subject("tagalign", _texts(_TAGALIGN), _source("fragments", kind="reads"), ".tagAlign"),
    Subject("bedpe", _texts(_BEDPE), _source("fragments", kind="pairs"), ".bedpe"),
    Subject("exon-usage", _texts(_PSI), _usage, ".csv"),
    Subject("contact-table", _texts(_CONTACTS), _source("pixels", min_coverage=0), ".tsv", seconds=15),
    Subject("targets", _texts(_TARGETS), _targets, ".txt"),
    Subject("splice-sites", _texts(_SITES), _sites, ".tsv"),
    Subject("polya", _texts(_POLYA), _polya, ".tsv"),
    Subject("fasta", _texts(_FASTA), _fasta_file, ".fa", words=(b">", b">chr1\n")),
    Subject("fasta-index", _texts("chr1\t22\t8\t10\t11\nchr2\t4\t39\t4\t5\n"), _fasta_index, ".fai", named=False),
    Subject("sequences", _texts(_READS), _sequences, ".fa", words=(b">", b"@r\n", b"+\n")),
    Subject("meme", _texts(_MEME), _meme, ".meme", words=(b"MOTIF", b"letter-probability matrix", b"0.5")),
    Subject("keys", _texts("# keys\nlab secret 100000\nother sha256:" + "0" * 64 + "\n"), _keys, ".txt"),
)
