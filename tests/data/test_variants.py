import gzip
import random
import tempfile
from pathlib import Path

import pysam
import pytest
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_core.sequence import reverse_complement
from ag_data.fasta import Fasta
from ag_data.reference import ReferenceReport, reference_report
from ag_data.variants import Status, check_calls, read_header, read_variants
from ag_data.vcf.symbolic import Event
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
HEADER = "##fileformat=VCFv4.2\n" + COLUMNS
RNG = random.Random(2)
CHR1 = "".join(RNG.choices("ACGT", k=3000))


def line(chromosome="chr1", position=10, ref="A", alt="C", name="."):
    return f"{chromosome}\t{position}\t{name}\t{ref}\t{alt}\t.\t.\t.\n"


@pytest.fixture
def write_vcf(tmp_path):
    def write(body, name="calls.vcf", header=HEADER):
        path = tmp_path / name
        data = (header + body).encode()
        if name.endswith(".gz"):
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(data)
        else:
            path.write_bytes(data)
        return path

    return write


@pytest.fixture
def fasta(write_fasta):
    return Fasta(write_fasta({"chr1": CHR1, "chr2": "ACGTNNNNacgt", "chr20:1001-1010": "ACGTACGTAC"}))


def statuses(path, fasta, **options):
    return [call.status.value for call in check_calls(read_variants(path), fasta, **options)]


def test_every_alternate_allele_becomes_one_call(write_vcf):
    calls = list(read_variants(write_vcf(line(alt="c,<DEL>,*,N[chr2:3[,.A", name="rs1") + line("1", 11, "ac", "."))))
    assert [(call.record, call.alt, call.alternate, call.status.value) for call in calls] == [
        (0, 0, "c", "scored"),
        (0, 1, "<DEL>", "symbolic"),
        (0, 2, "*", "star"),
        (0, 3, "N[chr2:3[", "breakend"),
        (0, 4, ".A", "breakend"),
        (1, 0, ".", "missing_alt"),
    ]
    assert calls[0].variant == Variant("chr1", 10, "A", "C")
    assert calls[0].variant.name == calls[0].name == "rs1"
    assert [call.variant for call in calls[1:]] == [None] * 5
    assert (calls[5].chromosome, calls[5].position, calls[5].reference) == ("1", 11, "ac")
    assert str(calls[0]) == "chr1:10:A>c"


def test_alleles_and_positions_that_cannot_be(write_vcf, fasta):
    body = line(alt="R,C") + line(ref="M", alt="A,T") + line(position=0, ref="N", alt="T") + line(ref="", alt="T")
    path = write_vcf(body)
    expected = [
        "invalid_allele",
        "scored",
        "invalid_allele",
        "invalid_allele",
        "invalid_position",
        "invalid_allele",
    ]
    assert [call.status.value for call in read_variants(path)] == expected


def test_calls_are_compared_with_the_genome(write_vcf, fasta):
    long = CHR1[99:120]
    cases = {
        line("1", 100, long[0].lower(), "N"): "scored",
        line("chr1", 100, "N", "A"): "scored",
        line("chr1", 100, reverse_complement(long[0]), "N"): "ref_mismatch",
        line("chr1", 3000, CHR1[2999] + "A", "A"): "outside",
        line("chr1", 3001, "A", "C"): "outside",
        line("chr2", 5, "A", "C"): "outside",  # the genome has N
        line("chr2", 4, "TA", "C"): "outside",
        line("chr2", 4, "AA", "C"): "ref_mismatch",
        line("chr2", 5, "N", "C"): "scored",
        line("chr2", 9, "ACG", "C"): "scored",
        line("chr20", 1002, "C", "T"): "scored",
        line("20", 1000, "C", "T"): "outside",  # before the known piece
        line("chrX", 5, "A", "C"): "unknown_contig",
        line("chr1", 100, long, "C"): "unsupported_length",
        line("chr1", 100, long[0], "C" * 21): "unsupported_length",
        line("chr1", 100, long[:20], "C" * 20): "scored",
    }
    path = write_vcf("".join(cases))
    calls = list(check_calls(read_variants(path), fasta, max_length=20))
    assert [call.status.value for call in calls] == list(cases.values())
    assert (calls[0].chromosome, calls[0].variant.chromosome) == ("1", "chr1")
    assert calls[2].detail == f"the genome has chr1:100:{long[0]}; REF fits the other strand"
    assert calls[3].detail == "beyond the known sequence of chr1: it has 3000 bp"
    assert calls[13].detail == "21 bases, at most 20 allowed"
    assert statuses(path, fasta)[13] == "scored"


ALT = st.sampled_from(["A", "AC", "n", "<DEL>", "<NON_REF>", "*", "A]chr2:5]", "R", "."])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chr1", "1", "chr2", "chrUn"]),
            st.integers(0, 3010),
            st.sampled_from(["A", "c", "NN", "GATTACA"]),
            st.lists(ALT, min_size=1, max_size=4),
        ),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_accounting_every_allele_has_exactly_one_status(records):
    with tempfile.TemporaryDirectory() as folder:
        genome = Path(folder, "genome.fa")
        genome.write_text(f">chr1\n{CHR1}\n>chr2\nACGTNNNNACGT\n")
        path = Path(folder, "calls.vcf")
        path.write_text(HEADER + "".join(line(*record[:3], ",".join(record[3])) for record in records))
        calls = list(check_calls(read_variants(path), Fasta(genome)))
    # A record whose only alternate is '.' has one call all the same.
    expected = [(number, alt) for number, record in enumerate(records) for alt in range(len(record[3]))]
    assert [(call.record, call.alt) for call in calls] == expected
    for call in calls:
        chromosome, position, ref, alternates = records[call.record]
        assert (call.chromosome, call.position, call.reference) == (chromosome, position, ref)
        assert call.alternate == alternates[call.alt]
        assert isinstance(call.status, Status)
        if call.status is Status.SCORED:
            assert call.variant.reference_bases == ref.upper()


def test_all_containers_give_the_same_calls(write_vcf, tmp_path):
    end = '##INFO=<ID=END,Number=1,Type=Integer,Description="end">\n'
    header = f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=3000,assembly=test>\n##contig=<ID=chr2>\n{end}{COLUMNS}"
    deleted = line("chr2", 7, "A", "<DEL>").replace(".\n", "END=9\n")
    body = line(alt="C,*") * 30 + line("chr2", 7, "ACG", "A", "rs2") + deleted
    plain = write_vcf(body, header=header)
    bgzip = write_vcf(body, "calls.vcf.gz", header)
    (tmp_path / "plain.vcf.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with (
        pysam.VariantFile(str(plain)) as file,
        pysam.VariantFile(str(tmp_path / "calls.bcf"), "wb", header=file.header) as bcf,
    ):
        for record in file:
            bcf.write(record)
    expected = list(read_variants(plain))
    assert len(expected) == 62
    assert (expected[-1].status.value, expected[-1].event) == ("symbolic", Event("DEL", 2))
    for path in (bgzip, tmp_path / "plain.vcf.gz", tmp_path / "calls.bcf"):
        assert list(read_variants(path)) == expected
        found = read_header(path)
        assert (found.path, found.contigs, found.assembly) == (path, {"chr1": 3000, "chr2": None}, "test")


def test_symbolic_alleles_are_spelt_out_where_the_genome_tells_them(write_vcf, fasta):
    info = {"<DEL>": "END=103", "<DUP>": "SVLEN=3", "<INV>": "SVLEN=3;IMPRECISE", "<INS>": "SVLEN=3"}
    rows = [line("1", 100, CHR1[99], alt).replace(".\n", f"{text}\n") for alt, text in info.items()]
    rows += [line("1", 100, CHR1[99], "<DEL>").replace(".\n", f"END={end}\n") for end in (120, 3001)]
    path = write_vcf("".join(rows))
    assert {call.status.value for call in read_variants(path)} == {"symbolic"}  # no genome, no bases
    calls = list(check_calls(read_variants(path), fasta, max_length=20))
    anchor, bases = CHR1[99], CHR1[100:103]
    turned = reverse_complement(bases)
    assert [(call.status.value, call.variant and str(call.variant), call.detail) for call in calls] == [
        ("scored", f"chr1:100:{anchor}{bases}>{anchor}", "<DEL> of 3 bp spelt out"),
        ("scored", f"chr1:100:{anchor}>{anchor}{bases}", "<DUP> of 3 bp spelt out"),
        (
            "scored",
            f"chr1:100:{anchor}{bases}>{anchor}{turned}",
            "<INV> of 3 bp spelt out; its ends are not known to the base",
        ),
        ("symbolic", None, "does not say which bases are inserted (INFO SVINSSEQ, INSSEQ, SEQ)"),
        ("unsupported_length", None, "21 bases, at most 20 allowed"),
        ("outside", None, "reaches beyond the known sequence of chr1"),
    ]
    assert [call.repairs for call in calls[:4]] == [("realised",)] * 3 + [()]
    assert list(check_calls(calls, fasta, max_length=20)) == calls


def test_samples_are_passed_over(write_vcf):
    header = HEADER.replace("INFO\n", "INFO\tFORMAT\tS1\n")
    assert len(list(read_variants(write_vcf(line().rstrip("\n") + "\tGT\t0/1\n", header=header)))) == 1


# Do the reference alleles fit?


def vcf_of(variants):
    return "".join(line(v.chromosome, v.position, v.reference_bases, v.alternate_bases) for v in variants)


def snvs(count=60):
    """True variants, away from each other, with an alternate that is not the reference's complement."""
    other = {"A": "C", "C": "A", "G": "T", "T": "G"}
    return [Variant("chr1", p + 1, CHR1[p], other[CHR1[p]]) for p in range(20, 20 + 40 * count, 40)]


def test_a_good_file_gives_a_report(write_vcf, fasta):
    good = snvs()
    bad = Variant("chr1", 2990, reverse_complement(CHR1[2989]), "N")
    path = write_vcf(vcf_of([*good, bad]) + line("chrX", 5, "A", "C") + line(alt="<DEL>"))
    report = reference_report(read_variants(path), fasta, read_header(path))
    assert (report.checked, report.mismatched) == (61, 1)
    checked = check_calls(read_variants(path), fasta)
    assert reference_report(checked, fasta) == report
    assert reference_report([], fasta) == ReferenceReport(0, 0)


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (
            lambda v: Variant("1", v.position - 1, v.reference_bases, v.alternate_bases),
            "positions look 0-based.*add 1",
        ),
        (
            lambda v: Variant("1", v.position + 1, v.reference_bases, v.alternate_bases),
            "one too large.*subtract 1",
        ),
        (lambda v: Variant("1", v.position, v.alternate_bases, v.reference_bases), "REF and ALT look swapped"),
        (
            lambda v: Variant("1", v.position, *map(reverse_complement, (v.reference_bases, v.alternate_bases))),
            "given for the reverse strand; reverse-complement",
        ),
    ],
)
def test_the_likely_cause_is_worked_out(write_vcf, fasta, spoil, cause):
    path = write_vcf(vcf_of(map(spoil, snvs())))
    message = rf"of 60 reference alleles in .*calls\.vcf do not match .*genome\.fa .*likely cause: .*{cause}"
    with pytest.raises(InputError, match=message):
        reference_report(read_variants(path), fasta, read_header(path))


def test_swapped_alleles_are_found_among_several_alternates(write_vcf, fasta):
    body = "".join(line("chr1", v.position, v.alternate_bases, f"N,{v.reference_bases}") for v in snvs())
    with pytest.raises(InputError, match=r"60 of 60 .*REF and ALT look swapped.*60 of the 60"):
        reference_report(read_variants(write_vcf(body)), fasta)


def test_another_assembly_is_seen_in_the_header(write_vcf, fasta):
    header = "##fileformat=VCFv4.2\n##reference=GRCh99\n##contig=<ID=1,length=2999>\n" + COLUMNS
    wrong = [Variant("1", p, RNG.choice("ACGT"), "N") for p in range(1, 200)]
    path = write_vcf(vcf_of(wrong), header=header)
    with pytest.raises(
        InputError, match=r"another assembly: the header says 1 has 2,999 bp \(GRCh99\), the FASTA has 3,000"
    ):
        reference_report(read_variants(path), fasta, read_header(path))
    with pytest.raises(InputError, match="use the FASTA of the assembly the variants were called on"):
        reference_report(read_variants(path), fasta)
    assert reference_report(read_variants(path), fasta, limit=1).mismatched > 100


# Files that cannot be read


@pytest.mark.parametrize(
    "bad",
    [
        "chr1\tabc\t.\tA\tT\t.\t.\t.\n",
        "chr1\t11\t.\tA\tT\n",
        "chr1 11 . A T . . .\n",
        "\n",
        "chr1\t-5\t.\tA\tT\t.\t.\t.\n",
    ],
)
@pytest.mark.parametrize("name", ["calls.vcf", "calls.vcf.gz"])
def test_a_malformed_line_is_named(write_vcf, capfd, bad, name):
    calls = read_variants(write_vcf(line() * 3 + bad + line(), name))
    with pytest.raises(InputError, match=rf"{name}: record 4 \(line 6\) cannot be read.*8 columns"):
        list(calls)
    assert capfd.readouterr().err == ""


def test_missing_empty_and_foreign_files(tmp_path, write_vcf, capfd):
    path = tmp_path / "calls.vcf"
    with pytest.raises(InputError, match=r"VCF file .*calls\.vcf does not exist"):
        read_variants(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"VCF file .*calls\.vcf is empty"):
        read_variants(path)
    for text in (">chr1\nACGT\n", line(), "##fileformat=VCFv4.2\n" + line(), COLUMNS + line(), "\0\1\2" * 50):
        path.write_text(text)
        with pytest.raises(InputError, match=r"calls\.vcf cannot be read as VCF or BCF .*#CHROM"):
            list(read_variants(path))
    assert list(read_variants(write_vcf(""))) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["calls.vcf.gz", "calls.bcf"])
def test_truncated_and_corrupt_bgzip(tmp_path, write_vcf, capfd, name):
    header = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n" + COLUMNS
    path = write_vcf(
        "".join(line(position=i + 1, name=f"rs{RNG.random()}") for i in range(20_000)), "calls.vcf.gz", header
    )
    if name.endswith("bcf"):
        with pysam.VariantFile(str(path)) as file:
            path = tmp_path / name
            with pysam.VariantFile(str(path), "wb", header=file.header) as bcf:
                for record in file:
                    bcf.write(record)
    capfd.readouterr()  # what htslib said while the files were made
    whole = path.read_bytes()
    for end in (len(whole) - 28, len(whole) // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=rf"{name} is truncated"):
            read_variants(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with pytest.raises(InputError, match=rf"{name}: record \d+ .*cannot be read.*corrupt"):
        list(read_variants(path))
    assert capfd.readouterr().err == ""


def test_truncated_gzip(tmp_path):
    path = tmp_path / "calls.vcf.gz"
    packed = gzip.compress((HEADER + line() * 1000).encode())
    path.write_bytes(packed[:-20])
    with pytest.raises(InputError, match=r"calls\.vcf\.gz is truncated or corrupt"):
        list(read_variants(path))
