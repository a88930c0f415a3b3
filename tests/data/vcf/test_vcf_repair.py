"""What repairs say and how the repaired file is written."""

import random

import pysam
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data.fasta import Fasta
from ag_data.variants import check_calls, read_variants
from ag_data.vcf.repair import repair_calls
from ag_data.vcf.writer import sort_records, write_repaired

# 1-based:  1234567890123456789012
GENOME = "AACCGGTTACGTACACACACGGTT"
TOP = (
    "##fileformat=VCFv4.2\n##contig=<ID=1,length=24>\n"
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="c">\n##INFO=<ID=AD,Number=R,Type=Integer,Description="d">\n'
    '##INFO=<ID=PL,Number=G,Type=Integer,Description="p">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"


@pytest.fixture
def fasta(write_fasta):
    return Fasta(write_fasta({"chr1": GENOME, "chr2": "ACGTNNACGT"}))


@pytest.fixture
def write(tmp_path):
    def write_vcf(*lines, name="calls.vcf"):
        path = tmp_path / name
        path.write_text(TOP + COLUMNS + "".join("\t".join(line.split()) + "\n" for line in lines))
        return path

    return write_vcf


def test_what_was_done_is_told(write, fasta):
    path = write(
        "1 17 a ACA A . . . GT 0/1",
        "chr1 9 b g T . . . GT 0/1",
        "chr1 5 c N <DEL> . . END=8;IMPRECISE GT 0/1",
        "chr1 10 d A C . . . GT 0/1",
        "chr1 10 e C G . . . GT 0/1",
        "chr1 3 f CCG CCA . . . GT 0/1",
        "chr2 8 g C CA . . . GT 0/1",
        "chr2 7 h AA A . . . GT 0/1",
        "chr1 24 i T TT . . . GT 0/1",
        "chr1 15 j A <DUP> . . SVLEN=2 GT 0/1",
    )
    calls = list(repair_calls(read_variants(path), fasta))
    found = {call.name: (str(call.variant), call.repairs, call.detail) for call in calls}
    assert found == {
        "a": ("chr1:12:TAC>T", ("left_aligned", "contig"), "left_aligned: chr1:12:TAC>T"),
        "b": ("chr1:9:G>T", (), "the genome has chr1:9:A"),
        "c": ("chr1:5:GGTT>G", ("realised",), "<DEL> of 3 bp spelt out; its ends are not known to the base"),
        "j": (
            "chr1:12:T>TAC",
            ("realised", "left_aligned"),
            "<DUP> of 2 bp spelt out; left_aligned: chr1:12:T>TAC",
        ),
        "d": ("chr1:10:C>A", ("swapped",), "swapped: chr1:10:C>A"),
        "e": ("chr1:10:C>G", (), ""),
        "f": ("chr1:5:G>A", ("trimmed",), "trimmed: chr1:5:G>A"),
        "g": ("chr2:8:C>CA", (), ""),
        "h": ("chr2:7:AA>A", (), "the genome has chr2:7:AC"),
        "i": ("chr1:22:G>GT", ("left_aligned",), "left_aligned: chr1:22:G>GT"),
    }
    assert [call.status.value for call in calls] == [
        "scored",
        "ref_mismatch",
        *["scored"] * 5,
        "ref_mismatch",
        *["scored"] * 2,
    ]


def test_without_repair_a_swap_is_only_told(write, fasta):
    (call,) = check_calls(read_variants(write("chr1 10 d A C . . . GT 0/1")), fasta)
    assert call.status.value == "ref_mismatch"
    assert call.detail == "the genome has chr1:10:C; REF and ALT are swapped: ALT fits"
    assert call.variant == Variant("chr1", 10, "A", "C")


def test_a_deletion_that_does_not_fit_is_not_made_an_insertion(write, fasta):
    """Its ALT fits any genome that has its first base."""
    (call,) = repair_calls(read_variants(write("chr1 10 d CGA C . . . GT 0/1")), fasta)
    assert (call.status.value, call.repairs) == ("ref_mismatch", ())


def test_variants_do_not_move_to_bases_that_nobody_knows(write, write_fasta):
    fasta = Fasta(write_fasta({"chr1:101-110": "AAAACGTACG"}))
    calls = list(
        repair_calls(read_variants(write("chr1 103 a AA A . . . GT 0/1", "chr1 104 b AC A . . . GT 0/1")), fasta)
    )
    assert [str(call.variant) for call in calls] == ["chr1:103:AA>A", "chr1:104:AC>A"]
    assert [call.status.value for call in calls] == ["scored"] * 2


def records(path):
    with pysam.VariantFile(str(path)) as file:
        return [str(record).rstrip("\n") for record in file]


def test_the_file_is_split_sorted_and_indexed(write, fasta, tmp_path, capfd):
    path = write(
        "chr2 2 b C T 5 PASS AC=1 GT 0/1",
        "chrUn 7 u A T . . . GT 0/1",
        "1 17 a ACA A,<CNV>,AC 9 q10 AC=3,4,5;AD=9,3,4,5;PL=1,2,3;UNKNOWN=7;END=21 GT 0/1",
        "1 10 . A C . . AC=3;AD=9,3;X GT 0/1",
    )
    output = tmp_path / "out.vcf.gz"
    write_repaired(path, output, fasta)
    assert records(output) == [
        "chr1\t10\t.\tC\tA\t.\t.\tX;AG_RECORD=3;AG_ALT=0;AG_WAS=1:10:A>C;AG_REPAIRS=swapped,contig",
        "chr1\t12\ta\tTAC\tT\t9\tq10\tAC=3;AD=9,3;UNKNOWN=7;AG_RECORD=2;AG_ALT=0;AG_WAS=1:17:ACA>A;"
        "AG_REPAIRS=left_aligned,contig",
        "chr1\t17\ta\tACA\t<CNV>\t9\tq10\tAC=4;AD=9,4;UNKNOWN=7;END=21;AG_RECORD=2;AG_ALT=1;AG_REFUSED=symbolic",
        "chr1\t18\ta\tCA\tC\t9\tq10\tAC=5;AD=9,5;UNKNOWN=7;AG_RECORD=2;AG_ALT=2;AG_WAS=1:17:ACA>AC;"
        "AG_REPAIRS=trimmed,contig",
        "chr2\t2\tb\tC\tT\t5\tPASS\tAC=1;AG_RECORD=0;AG_ALT=0",
        "chrUn\t7\tu\tA\tT\t.\t.\tAG_RECORD=1;AG_ALT=0;AG_REFUSED=unknown_contig",
    ]
    with pysam.VariantFile(str(output)) as file:
        assert list(file.header.contigs) == ["chr1", "chr2", "chrUn"]
        assert [record.id for record in file.fetch("chr2", 0, 9)] == ["b"]
    assert records(path)  # the input is as it was
    plain, again = tmp_path / "out.vcf", tmp_path / "again.vcf"
    write_repaired(path, plain, fasta)
    assert plain.read_bytes() == pysam.BGZFile(str(output)).read()
    # Repaired once more, nothing changes but the numbers of records.
    statuses, repairs = write_repaired(plain, again, fasta)
    assert (statuses.total(), repairs.total()) == (6, 0)
    assert [line.split("\t")[:5] for line in records(again)] == [line.split("\t")[:5] for line in records(plain)]
    assert sorted(file.name for file in tmp_path.iterdir() if "out" in file.name) == [
        "out.vcf",
        "out.vcf.gz",
        "out.vcf.gz.tbi",
    ]
    capfd.readouterr()


def test_more_records_than_fit_in_memory_are_sorted(tmp_path):
    rows = [(0, n, n, 0, "\udcff" * (n % 3)) for n in range(1000)]
    mixed = random.Random(3).sample(rows, len(rows))
    assert list(sort_records(mixed, tmp_path, size=64)) == rows
    assert len(list(tmp_path.iterdir())) == 16
    assert list(sort_records([], tmp_path)) == []


def test_outputs_that_are_refused(write, fasta, tmp_path):
    path = write("chr1 10 . A C . . . GT 0/1")
    with pytest.raises(InputError, match=r"out\.bcf: cannot tell the format"):
        write_repaired(path, tmp_path / "out.bcf", fasta)
    with pytest.raises(InputError, match="is the input; choose another name"):
        write_repaired(path, path, fasta)
    broken = write("chr1 10 . A C . . . GT 0/1", "chr1 abc . A C . . . GT 0/1", name="broken.vcf")
    (tmp_path / "old.vcf").write_text("kept")
    with pytest.raises(InputError, match=r"broken\.vcf: record 2 \(line 9\) cannot be read"):
        write_repaired(broken, tmp_path / "old.vcf", fasta)
    assert (tmp_path / "old.vcf").read_text() == "kept"


def test_command(write, write_fasta, tmp_path, capfd):
    path, genome = write("1 10 . A C,G . . . GT 0/1"), write_fasta({"chr1": GENOME})
    output = tmp_path / "out.vcf"
    assert run(["vcf", "repair", str(path), "--fasta", str(genome), "-o", str(output), "--json"]) == 0
    found = capfd.readouterr()
    assert '"scored": 1,\n  "ref_mismatch": 1' in found.out
    assert "repairs: swapped 1, contig 1" in found.err
    assert [line.split("\t")[:5] for line in records(output)] == [
        ["chr1", "10", ".", "C", "A"],
        ["chr1", "10", ".", "A", "G"],
    ]
    assert run(["vcf", "repair", str(path), "--fasta", str(genome), "-o", "out.txt"]) == 2
