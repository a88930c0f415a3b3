"""The doctor finds what was planted, and tells what it means."""

import collections
import json

import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_data.fasta import Fasta
from ag_data.vcf.doctor import examine_vcf

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
GENOME = "AACCGGTTACGTACACACACGGTT"


def test_every_kind_is_counted(sown):
    records, path, vcf = sown(0)
    report = examine_vcf(vcf, Fasta(path), 50)
    alleles = [allele for record in records for allele in record.alleles]
    assert (report.records, report.alleles) == (len(records), len(alleles))
    assert report.statuses == collections.Counter(allele.status for allele in alleles)
    assert report.repaired == collections.Counter(allele.repaired for allele in alleles)
    problems = {problem.name: problem for problem in report.problems}
    # Each allele that is not scored is in one problem.
    of_alleles = [problem for problem in report.problems if problem.examples[0].startswith("line")]
    lost = sum(p.count for p in of_alleles if p.outcome in report.statuses and p.outcome != "scored")
    both = problems["ambiguous letters in REF"]
    assert both.outcome in ("scored, invalid_allele", "invalid_allele, scored")
    assert lost + 1 == sum(count for status, count in report.statuses.items() if status != "scored")
    assert (problems["REF and ALT are swapped"].count, problems["REF and ALT are swapped"].repaired) == (2, "scored")
    expected = {"breakend": 2, "POS 0, the telomere": 2, "ALT is REF": 1, "lower-case bases": 1, "* allele": 2}
    assert {name: problems[name].count for name in expected} == expected
    lines = vcf.read_text().splitlines()
    for problem in report.problems:
        for example in problem.examples:
            if example.startswith("line "):
                number, place = example.removeprefix("line ").split(": ")[:2]
                assert lines[int(number) - 1].split("\t")[:2] == place.split(":")[:2]


def test_order_duplicates_and_contigs(tmp_path, write_fasta):
    fasta = Fasta(write_fasta({"chr1": GENOME, "chr2": GENOME}))
    path = tmp_path / "calls.vcf"
    rows = ("1 17 ACA A", "chr2 2 A C", "chr2 1 A C", "chr1 15 ACA A", "1 12 TAC T", "1 3 C G,T", "1 3 C G", "1 5 G A")
    text = "".join("{}\t{}\t.\t{}\t{}\t.\t.\t.\n".format(*row.split()) for row in rows)
    path.write_text(f"##fileformat=VCFv4.2\n##contig=<ID=1,length=24>\n{COLUMNS}{text}")
    report = examine_vcf(path, fasta)
    assert (report.records, report.alleles, report.statuses) == (8, 9, {"scored": 9})
    problems = {problem.name: problem for problem in report.problems}
    assert problems["not sorted"].examples == ("line 6: chr2:1:A>C", "line 7: chr1:15:ACA>A", "line 8: 1:12:TAC>T")
    assert problems["not sorted"].count == 4
    assert problems["the same allele again"].examples == ("line 8: 1:12:TAC>T", "line 10: 1:3:C>G")
    assert problems["not left-aligned"].count == 2
    assert problems["record with several alternate alleles"].count == 1
    assert problems["contigs not in the header"].examples == ("chr1", "chr2")
    assert problems["contigs spelt in two ways"].examples == ("1 and chr1",)


def test_another_assembly(tmp_path, write_fasta):
    """Told by lengths in the header, by positions, and by what explains the mismatches."""
    fasta = Fasta(write_fasta({"chr20": GENOME * 10}))
    path = tmp_path / "calls.vcf"
    rows = "".join(f"20\t{p + 2}\t.\t{(GENOME * 10)[p]}\tN\t.\t.\t.\n" for p in range(100))
    top = "##fileformat=VCFv4.2\n"
    path.write_text(f"{top}##contig=<ID=20,length=63025520>\n{COLUMNS}{rows}20\t60000000\t.\tA\tC\t.\t.\t.\n")
    problems = {problem.name: problem for problem in examine_vcf(path, fasta).problems}
    header = problems["the header is of another assembly: hg19 (GRCh37)"]
    assert header.examples == ("20: 63,025,520 bp, the FASTA has 240",)
    assert "hg19 (GRCh37)" in problems["chromosomes too short"].remedy
    assert problems["chromosomes too short"].examples == ("chr20: 60,000,000 of 240 bp",)
    assert "another assembly: the header says 20" in problems["likely cause of REF mismatches"].remedy
    path.write_text(top + COLUMNS + rows)
    problems = {problem.name: problem for problem in examine_vcf(path, fasta).problems}
    assert "positions look one too large" in problems["likely cause of REF mismatches"].remedy
    assert problems["REF differs from the genome"].outcome == "ref_mismatch"


def test_a_clean_file_has_no_problems(tmp_path, write_fasta):
    path = tmp_path / "calls.vcf"
    path.write_text(f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=24>\n{COLUMNS}chr1\t3\t.\tC\tG\t.\t.\t.\n")
    report = examine_vcf(path, Fasta(write_fasta({"chr1": GENOME})))
    assert report.problems == ()
    assert str(report).splitlines() == [
        f"{path}: 1 records, 1 alleles",
        "    now:      scored 1",
        "    repaired: scored 1",
    ]
    path.write_text("no VCF\n")
    with pytest.raises(InputError, match=r"calls\.vcf cannot be read as VCF or BCF"):
        examine_vcf(path, Fasta(write_fasta({"chr1": GENOME})))


def test_command(sown, tmp_path, capfd):
    _, path, vcf = sown(0)
    arguments = ["vcf", "doctor", str(vcf), "--fasta", str(path), "--window", "100"]
    assert run(arguments) == 0
    text = capfd.readouterr().out
    assert "REF and ALT are swapped: 2\n    line 79" in text
    assert "in scoring: ref_mismatch; repaired: scored" in text
    assert run([*arguments, "--json", "-o", str(tmp_path / "report.json")]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["alleles"] == sum(found["statuses"].values()) == sum(found["repaired"].values())
    assert json.loads((tmp_path / "report.json").read_text()) == found
    assert run(["vcf", "doctor", "absent.vcf", "--fasta", str(path)]) == 2
    assert "does not exist" in capfd.readouterr().err
