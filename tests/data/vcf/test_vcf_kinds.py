"""Every kind of record ends in the status it should, and what is realised is what bcftools makes of it."""

import collections
import random
import re

import pysam
import pysam.bcftools
import pytest
from ag_core.genome import Interval, Variant, normalize_variant
from ag_core.sequence import allele_sequences
from ag_data.fasta import Fasta
from ag_data.variants import Status, check_calls, read_variants
from ag_data.vcf.repair import repair_calls
from ag_data.vcf.writer import write_repaired

SEEDS = range(8)
LIMIT, WIDTH = 50, 400


def expected_calls(records):
    return [
        (number, alt, record, allele)
        for number, record in enumerate(records)
        for alt, allele in enumerate(record.alleles)
    ]


def whole(call, fasta):
    """The chromosome with the call's allele in it, from the window that is scored."""
    ref, alt = allele_sequences(Interval(call.variant.chromosome, 0, WIDTH), call.variant, fasta.fetch)
    return ref.rstrip("N"), alt.rstrip("N")


@pytest.mark.parametrize("seed", SEEDS)
def test_each_kind_gets_its_status_and_its_bases(sown, seed):
    records, path, vcf = sown(seed)
    fasta, expected = Fasta(path), expected_calls(records)
    assert len({record.kind for record in records}) >= 50
    for calls, field in (
        (check_calls(read_variants(vcf), fasta, LIMIT), "status"),
        (repair_calls(read_variants(vcf), fasta, LIMIT), "repaired"),
        (repair_calls(check_calls(read_variants(vcf), fasta, LIMIT), fasta, LIMIT), "repaired"),
    ):
        calls = list(calls)
        assert len(calls) == len(expected)  # none lost, none twice
        for call, (number, alt, record, allele) in zip(calls, expected, strict=True):
            assert (call.record, call.alt, call.name or ".") == (number, alt, record.kind)
            assert (call.position, call.reference, call.alternate) == (
                record.position,
                record.reference,
                allele.alternate,
            )
            assert call.status.value == getattr(allele, field), (record.kind, call.detail)
            if call.status is Status.SCORED:
                ref, alt_bases = whole(call, fasta)
                assert alt_bases == allele.haplotype, record.kind
                assert ref == record.bases or "N" in call.variant.reference_bases
            if call.status is Status.SCORED and field == "repaired":
                assert "N" not in call.variant.reference_bases
                assert normalize_variant(call.variant, fasta.fetch) == call.variant


@pytest.mark.parametrize("seed", SEEDS)
def test_bcftools_makes_the_same_sequences(sown, consensus, tmp_path, seed):
    """Of the records as they are, where it can read them; and of the repaired file, which it can read whole."""
    records, path, vcf = sown(seed)
    header = re.match("(?:#.*\n)+", vcf.read_text())[0]
    scored = [record for record in records if record.plain and record.alleles[0].status == "scored"]
    assert {"<DEL> with END", "<DEL> with SVLEN", "complex", "not left-aligned"} <= {record.kind for record in scored}
    found = consensus(path, header, [record.line() for record in scored])
    for record in scored:
        assert found[record.chromosome] == record.alleles[0].haplotype, record.kind

    output = tmp_path / "repaired.vcf.gz"
    statuses, repairs = write_repaired(vcf, output, Fasta(path), LIMIT)
    expected = expected_calls(records)
    assert statuses == collections.Counter(Status(allele.repaired) for *_, allele in expected)
    assert set(repairs) == {"realised", "swapped", "filled", "trimmed", "left_aligned", "contig", "case"}
    with pysam.BGZFile(str(output)) as file:
        text = file.read().decode()
    header, lines = re.match("(?:#.*\n)+", text)[0], text.splitlines(keepends=True)
    fields = {}
    for line in (line for line in lines if not line.startswith("#")):
        info = dict(field.partition("=")[::2] for field in line.split("\t")[7].strip().split(";"))
        fields[int(info["AG_RECORD"]), int(info["AG_ALT"])] = info, line
    assert sorted(fields) == [(number, alt) for number, alt, *_ in expected]
    for number, alt, record, allele in expected:
        info, line = fields[number, alt]
        assert info.get("AG_REFUSED", "scored") == allele.repaired, record.kind
        if "AG_REFUSED" in info:
            assert line.split("\t")[1:5] == [str(record.position), record.kind, record.reference, allele.alternate]
    for chosen in (0, 1):
        kept = {key: line for key, (info, line) in fields.items() if key[1] == chosen and "AG_REFUSED" not in info}
        found = consensus(path, header, kept.values())
        for number, alt, record, allele in expected:
            if (number, alt) in kept:
                assert found[record.chromosome] == allele.haplotype, record.kind


def test_left_alignment_agrees_with_bcftools_norm(tmp_path):
    rng = random.Random(4)
    genome = "".join(rng.choice(("A", "CA", "GCT", "T", "G")) * rng.randrange(1, 9) for _ in range(600))
    path, vcf = tmp_path / "genome.fa", tmp_path / "calls.vcf"
    path.write_text(f">chr1\n{genome}\n")
    variants = []
    while len(variants) < 1500:
        start = rng.choice((0, 0, rng.randrange(len(genome) - 40)))
        ref = genome[start : start + rng.choice((1, 2, 3, 4, 7, 10))]
        cut = rng.randrange(1, len(ref) + 1)
        copied = genome[start + cut : start + cut + rng.choice((1, 2, 3, 4, 6))]
        alt = rng.choice((ref[:1], ref[:cut] + copied + ref[cut:], ref[:cut] + "A" + ref[cut + 1 :], copied))
        if alt != ref:
            variants.append(Variant("chr1", start + 1, ref, alt, str(len(variants))))
    lines = [f"chr1\t{v.position}\t{v.name}\t{v.reference_bases}\t{v.alternate_bases}\t.\t.\t.\n" for v in variants]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(genome)}>\n{columns}{''.join(lines)}")
    pysam.faidx(str(path))
    text = pysam.bcftools.norm("-f", str(path), str(vcf))
    rows = [line.split("\t")[1:5] for line in text.splitlines() if not line.startswith("#")]
    theirs = {name: (int(position), ref, alt) for position, name, ref, alt in rows}
    calls = list(repair_calls(read_variants(vcf), Fasta(path)))
    assert len(theirs) == len(calls) == 1500
    moved = 0
    for call in calls:
        ours = call.variant.position, call.variant.reference_bases, call.variant.alternate_bases
        assert ours == theirs[call.name], str(call)
        moved += "left_aligned" in call.repairs
    assert moved > 100
