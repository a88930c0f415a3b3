"""A small genome with one chromosome for each kind of record, and what is to become of each of its alleles."""

import dataclasses
import random

import pysam
import pytest

HEADER = "".join(
    f"{line}\n"
    for line in (
        "##fileformat=VCFv4.3",
        '##INFO=<ID=END,Number=1,Type=Integer,Description="end">',
        '##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="length">',
        '##INFO=<ID=SVINSSEQ,Number=.,Type=String,Description="inserted">',
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="count">',
        '##INFO=<ID=AD,Number=R,Type=Integer,Description="depth">',
    )
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
LENGTH, LIMIT = 300, 50  # of chromosomes, and of alleles
SCORED, MISMATCH, OUTSIDE, SYMBOLIC, BREAKEND = "scored", "ref_mismatch", "outside", "symbolic", "breakend"
STAR, MISSING, LETTERS, POSITION = "star", "missing_alt", "invalid_allele", "invalid_position"
CONTIG, LONG = "unknown_contig", "unsupported_length"
PARTNERS = {"A": "T", "C": "G", "G": "C", "T": "A"}


@dataclasses.dataclass
class Allele:
    """Status without and with repair, and the chromosome with the allele in it (None when it cannot be scored)."""

    alternate: str
    status: str
    haplotype: str | None = None
    repaired: str = ""

    def __post_init__(self):
        self.repaired = self.repaired or self.status


@dataclasses.dataclass
class Planted:
    """One record of a kind, on a chromosome of its own."""

    kind: str
    bases: str  # of the chromosome
    position: int
    reference: str
    alleles: list[Allele]
    info: str = "."
    chromosome: str = ""  # in the FASTA
    spelling: str = ""  # in the record, if another
    plain: bool = True  # whether bcftools consensus understands the record

    def line(self):
        alternates = ",".join(allele.alternate for allele in self.alleles)
        name = self.spelling or self.chromosome
        return f"{name}\t{self.position}\t{self.kind}\t{self.reference}\t{alternates}\t9\tPASS\t{self.info}\n"


def plant(seed):
    """Records of all kinds."""
    rng = random.Random(seed)
    found = []

    def letters(count):
        return "".join(rng.choices("ACGT", k=count))

    def other(*bases):
        return rng.choice([base for base in "ACGT" if base not in bases])

    def turned(bases):
        return "".join(PARTNERS[base] for base in reversed(bases))

    def add(kind, position, reference, *alleles, genome, **more):
        chromosome = more.pop("chromosome", f"chr{len(found) + 1}")
        found.append(Planted(kind, genome, position, reference, list(alleles), chromosome=chromosome, **more))

    def place():
        """A chromosome, a 0-based place, and a length."""
        return letters(LENGTH), rng.randrange(80, 200), rng.randrange(2, 12)

    def put(bases, start, end, new):
        return bases[:start] + new + bases[end:]

    # Explicit alleles that fit
    g, p, n = place()
    new = other(g[p])
    add("SNV", p + 1, g[p], Allele(new, SCORED, put(g, p, p + 1, new)), genome=g)
    g, p, n = place()
    new = g[p] + letters(n)
    add("insertion", p + 1, g[p], Allele(new, SCORED, put(g, p, p + 1, new)), genome=g)
    g, p, n = place()
    add("deletion", p + 1, g[p : p + n], Allele(g[p], SCORED, put(g, p + 1, p + n, "")), genome=g)
    g, p, n = place()
    new = "".join(other(base) for base in g[p : p + n])
    add("several bases", p + 1, g[p : p + n], Allele(new, SCORED, put(g, p, p + n, new)), genome=g)
    g, p, n = place()
    new = other(g[p]) + letters(rng.randrange(1, 9)) + other(g[p + n - 1])
    add("complex", p + 1, g[p : p + n], Allele(new, SCORED, put(g, p, p + n, new)), genome=g)
    g, p, n = place()
    alleles = [
        Allele(new, SCORED, put(g, p, p + 2, new)) for new in (other(g[p]) + g[p + 1], g[p : p + 2] + letters(n))
    ]
    add("two alternates", p + 1, g[p : p + 2], *alleles, Allele("*", STAR), genome=g, info="AC=3,4,5;AD=7,3,4,5")
    g, p, n = place()
    new = letters(n)
    add("lower case", p + 1, g[p].lower(), Allele(new.lower(), SCORED, put(g, p, p + 1, new)), genome=g)
    g, p, n = place()
    new = other(g[p])
    allele = Allele(new, SCORED, put(g, p, p + 1, new))
    add("other spelling", p + 1, g[p], allele, genome=g, chromosome="chrX", spelling="X", plain=False)
    g, p, n = place()
    g = put(g, p, p + 21, "G" + "CA" * 10)
    add("not left-aligned", p + 18, "CAC", Allele("C", SCORED, put(g, p + 18, p + 20, "")), genome=g)
    g, p, n = place()
    g = put(g, p, p + 21, "G" + "CA" * 10)
    add("insertion at the right", p + 21, "A", Allele("ACA", SCORED, put(g, p + 21, p + 21, "CA")), genome=g)
    g, p, n = place()
    new = put(g, p, p + 1, other(g[p]))
    add("padded", p - 4, g[p - 5 : p + 6], Allele(new[p - 5 : p + 6], SCORED, new), genome=g)
    g, p, n = place()
    add("ALT is REF", p + 1, g[p], Allele(g[p], SCORED, g), genome=g)
    # Ambiguous letters
    g, p, n = place()
    new = put(g, p, p + 2, other(g[p]))
    add("N in REF", p + 1, "N" + g[p + 1], Allele(new[p], SCORED, new), genome=g, plain=False)
    g, p, n = place()
    new = put(g, p, p + 1, other(g[p]))
    letter = {"A": "R", "C": "Y", "G": "S", "T": "K"}[g[p]]
    add("IUPAC in REF", p + 1, letter, Allele(new[p], LETTERS, new, SCORED), genome=g, plain=False)
    g, p, n = place()
    letter = {"A": "Y", "C": "R", "G": "W", "T": "M"}[g[p]]
    add("other IUPAC in REF", p + 1, letter, Allele(other(g[p]), LETTERS), genome=g)
    g, p, n = place()
    add("IUPAC in ALT", p + 1, g[p], Allele("R", LETTERS), genome=g)
    # REF that does not fit
    g, p, n = place()
    ref = other(g[p])
    add("swapped", p + 1, ref, Allele(g[p], MISMATCH, put(g, p, p + 1, ref), SCORED), genome=g, plain=False)
    g, p, n = place()
    ref = "".join(other(base) for base in g[p : p + n])
    swapped = Allele(g[p : p + n], MISMATCH, put(g, p, p + n, ref), SCORED)
    add("swapped bases", p + 1, ref, swapped, genome=g, plain=False)
    g, p, n = place()
    ref = other(g[p])
    add("wrong REF", p + 1, ref, Allele(other(g[p], ref), MISMATCH), genome=g)
    g, p, n = place()
    add("wrong deletion", p + 1, g[p] + other(g[p + 1]), Allele(g[p], MISMATCH), genome=g)
    g, p, n = place()
    ref = PARTNERS[g[p]]
    add("other strand", p + 1, ref, Allele(other(g[p], ref), MISMATCH), genome=g)
    # Places that are not there
    g, p, n = place()
    add("POS 0", 0, "N", Allele("A", POSITION), genome=g)
    add("POS 0, symbolic", 0, "N", Allele("<DEL>", POSITION), genome=g, info="END=5")
    add("beyond the end", LENGTH + 1, "A", Allele("C", OUTSIDE), genome=g)
    add("over the end", LENGTH, g[-1] + "A", Allele(g[-1], OUTSIDE), genome=g)
    add("no such chromosome", 5, "A", Allele("C", CONTIG), genome=g, spelling="chrUn")
    g, p, n = place()
    add("unknown bases", p + 1, "A", Allele("C", OUTSIDE), genome=put(g, p, p + 1, "N"))
    # No alleles
    g, p, n = place()
    add("*", p + 1, g[p], Allele("*", STAR), genome=g)
    add(".", p + 1, g[p], Allele(".", MISSING), genome=g)
    add("<*>", p + 1, g[p], Allele("<*>", SYMBOLIC), genome=g)
    g, p, n = place()
    new = other(g[p])
    alleles = Allele(new, SCORED, put(g, p, p + 1, new)), Allele("<NON_REF>", SYMBOLIC)
    add("<NON_REF>", p + 1, g[p], *alleles, genome=g, plain=False)
    # Symbolic alleles: POS is the base before
    for kind in ("END", "SVLEN", "both"):
        g, p, n = place()
        info = {"END": f"END={p + 1 + n}", "SVLEN": f"SVLEN=-{n}", "both": f"END={p + 1 + n};SVLEN={n}"}[kind]
        gone = put(g, p + 1, p + 1 + n, "")
        add(f"<DEL> with {kind}", p + 1, g[p], Allele("<DEL>", SCORED, gone), genome=g, info=info)
    g, p, n = place()
    gone = Allele("<DEL:ME:ALU>", SCORED, put(g, p + 1, p + 1 + n, ""))
    add("<DEL:ME:ALU>, REF N", p + 1, "N", gone, genome=g, info=f"END={p + 1 + n}", plain=False)
    g, p, n = place()
    alleles = [Allele("<DEL>", SCORED, put(g, p + 1, p + 1 + k, "")) for k in (n, n + 9)]
    add("two <DEL>", p + 1, g[p], *alleles, genome=g, info=f"SVLEN=-{n},-{n + 9};END={p + 10 + n}", plain=False)
    g, p, n = place()
    new = letters(5)
    allele = Allele("<DEL>", SCORED, put(g, p + 1, p + 1 + n, new))
    add("<DEL> with bases", p + 1, g[p], allele, genome=g, info=f"END={p + 1 + n};SVINSSEQ={new}", plain=False)
    for name in ("<DUP>", "<DUP:TANDEM>"):
        g, p, n = place()
        allele = Allele(name, SCORED, put(g, p + 1 + n, p + 1 + n, g[p + 1 : p + 1 + n]))
        add(name, p + 1, g[p], allele, genome=g, info=f"END={p + 1 + n};SVLEN={n}", plain=False)
    g, p, n = place()
    allele = Allele("<INV>", SCORED, put(g, p + 1, p + 1 + n, turned(g[p + 1 : p + 1 + n])))
    add("<INV>", p + 1, g[p], allele, genome=g, info=f"END={p + 1 + n};IMPRECISE", plain=False)
    g, p, n = place()
    new = letters(n)
    allele = Allele("<INS>", SCORED, put(g, p + 1, p + 1, new))
    add("<INS> with bases", p + 1, g[p], allele, genome=g, info=f"SVLEN={n};SVINSSEQ={new}", plain=False)
    g, p, n = place()
    for alternate, info in {
        "<INS>": "SVLEN=30",
        "<DEL>": "SVTYPE=DEL",
        "<DUP:DISPERSED>": f"END={p + 9}",
        "<CNV>": f"END={p + 9}",
        "<CN0>": f"END={p + 9}",
    }.items():
        add(f"{alternate} without bases", p + 1, g[p], Allele(alternate, SYMBOLIC), genome=g, info=info)
    add("END before POS", p + 1, g[p], Allele("<DEL>", SYMBOLIC), genome=g, info=f"END={p - 3}")
    add("END against SVLEN", p + 1, g[p], Allele("<DEL>", SYMBOLIC), genome=g, info=f"END={p + 9};SVLEN=-9")
    add("<DEL> of another base", p + 1, other(g[p]), Allele("<DEL>", MISMATCH), genome=g, info=f"END={p + 9}")
    add("<DEL> over the end", p + 1, g[p], Allele("<DEL>", OUTSIDE), genome=g, info=f"END={LENGTH + 1}")
    add("breakend", p + 1, g[p], Allele(f"{g[p]}[chr1:7[", BREAKEND), genome=g)
    add("single breakend", p + 1, g[p], Allele(f"{g[p]}.", BREAKEND), genome=g)
    # Too long
    long = Allele(g[p], LONG)
    add("long deletion", p + 1, g[p : p + LIMIT + 1], long, genome=g)
    add("long <DEL>", p + 1, g[p], Allele("<DEL>", LONG), genome=g, info=f"END={p + 1 + LIMIT}")
    new = put(g, p + LIMIT, p + LIMIT + 1, other(g[p + LIMIT]))
    ends = slice(p, p + LIMIT + 1)
    add("long and padded", p + 1, g[ends], Allele(new[ends], LONG, new, SCORED), genome=g)
    return found


@pytest.fixture(scope="session")
def sown(tmp_path_factory):
    """seed -> records, FASTA (every fourth base in lower case) and VCF."""
    made = {}

    def sow(seed):
        if seed not in made:
            folder = tmp_path_factory.mktemp(f"sown{seed}")
            records = plant(seed)
            fasta, vcf = folder / "genome.fa", folder / "calls.vcf"
            soft = {
                r.chromosome: "".join(b.lower() if i % 4 == 0 else b for i, b in enumerate(r.bases)) for r in records
            }
            fasta.write_text("".join(f">{name}\n{bases}\n" for name, bases in soft.items()))
            contigs = "".join(f"##contig=<ID={record.chromosome}>\n" for record in records)
            vcf.write_text(HEADER + contigs + COLUMNS + "".join(record.line() for record in records))
            made[seed] = records, fasta, vcf
        return made[seed]

    return sow


@pytest.fixture
def consensus(tmp_path):
    """`bcftools consensus` of some lines of a VCF: chromosome -> bases."""

    def run(fasta, header, lines):
        path = tmp_path / "some.vcf.gz"
        with pysam.BGZFile(str(path), "wb") as file:
            file.write((header + "".join(lines)).encode())
        pysam.tabix_index(str(path), preset="vcf", force=True)
        pysam.faidx(str(fasta))
        text = pysam.bcftools.consensus("-f", str(fasta), str(path))
        records = (record.partition("\n") for record in text.split(">")[1:])
        return {name: bases.replace("\n", "").upper() for name, _, bases in records}

    return run
