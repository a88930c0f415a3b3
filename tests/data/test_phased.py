"""Phased blocks of a sample, and sequences of haplotypes against `bcftools consensus`."""

import gzip

import numpy as np
import pysam
import pysam.bcftools
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import allele_sequences, reverse_complement
from ag_data.personal import INSERTED, find_overlap, merge, personal_sequence, reference_positions, trim
from ag_data.phased import Phase, phased_blocks, read_genotypes
from ag_data.variants import Status, read_variants
from hypothesis import assume, given, settings
from hypothesis import strategies as st

GENOME = "".join(np.random.default_rng(5).choice(list("ACGT"), 300))
GONE = 10**9
HEADER = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=300>
##contig=<ID=chr2,length=300>
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=PS,Number=1,Type=Integer,Description="Phase set">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tANNA\tBERT
"""


def fetch(interval):
    left = "N" * min(max(-interval.start, 0), interval.width)
    return (left + GENOME[max(interval.start, 0) : max(interval.end, 0)]).ljust(interval.width, "N")


def write(path, *records):
    """Records "POS REF ALT GT[:PS]" of ANNA on chr1 (or with a chromosome before them); REF '=' is the genome's."""
    lines = []
    for record in records:
        *chromosome, position, ref, alt, entry = record.split()
        ref = GENOME[int(position) - 1] if ref == "=" else ref
        genotype, _, phase_set = entry.partition(":")
        fields = [(chromosome or ["chr1"])[0], position, ".", ref, alt, ".", ".", ".", "GT:PS"]
        lines.append("\t".join([*fields, f"{genotype}:{phase_set or '.'}", "0/0:."]))
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return path


def blocks_of(path, max_span=1000, sample="ANNA"):
    found = list(phased_blocks(read_variants(path), read_genotypes(path, sample), max_span))
    return [block for blocks, _ in found for block in blocks], [one for _, refused in found for one in refused]


def shown(blocks):
    return [(one.number, one.haplotype, one.phase_set, [call.position for call in one.calls]) for one in blocks]


@st.composite
def changes(draw, most=6):
    """Variants in order that do not overlap, each with the base before it, as VCF wants them."""
    found, cursor = [], 1
    for _ in range(draw(st.integers(1, most))):
        first = cursor + draw(st.integers(0, 30))
        size = draw(st.integers(1, 6))
        if first + size >= len(GENOME):
            break
        ref = GENOME[first : first + size]
        alt = draw(st.sampled_from(["ACGT"["ACGT".index(ref[0]) - 1], *(ref[0] + draw(st.text("ACGT", max_size=7)),)]))
        if alt != ref:
            found.append(Variant("chr1", first + 1, ref, alt))
        cursor = first + size + 1
    return found


@settings(max_examples=15)
@given(data=st.data())
def test_haplotypes_are_those_of_bcftools_consensus(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("consensus")
    (folder / "g.fa").write_text(f">chr1\n{GENOME}\n")
    variants = data.draw(changes())
    genotypes = [data.draw(st.sampled_from(["0|1", "1|0", "1|1", "0|0"])) for _ in variants]
    records = [
        f"{one.position} {one.reference_bases} {one.alternate_bases} {genotype}"
        for one, genotype in zip(variants, genotypes, strict=True)
    ]
    path = write(folder / "v.vcf", *records)
    pysam.tabix_compress(str(path), f"{path}.gz")
    pysam.tabix_index(f"{path}.gz", preset="vcf")
    blocks, refused = blocks_of(f"{path}.gz", max_span=10_000)
    assert not refused
    for haplotype in (1, 2):
        calls = [call for block in blocks if block.haplotype == haplotype for call in block.calls]
        mine = [call.variant for call in calls if call.variant is not None]
        text = pysam.bcftools.consensus("-H", str(haplotype), "-s", "ANNA", "-f", str(folder / "g.fa"), f"{path}.gz")
        expected = "".join(str(text).splitlines()[1:])
        ours, places = personal_sequence(Interval("chr1", 0, len(expected)), mine, fetch)
        assert ours == expected
        assert len(places) == len(expected)
        if mine:
            whole = merge(mine, fetch)
            assert GENOME[: whole.start] + whole.alternate_bases + GENOME[whole.end :] == expected
            assert fetch(whole.reference_interval) == whole.reference_bases


@settings(max_examples=150)
@given(data=st.data())
def test_one_variant_is_as_ever(data):
    first = data.draw(st.integers(-10, 260))
    interval = Interval("chr1", first, first + 50, data.draw(st.sampled_from(".-")))
    start = data.draw(st.integers(max(first - 9, 0), first + 59))
    assume(start < len(GENOME))
    variant = Variant(
        "chr1", start + 1, GENOME[start : start + data.draw(st.integers(0, 8))], data.draw(st.text("ACGT", max_size=8))
    )
    bases, places = personal_sequence(interval, [variant], fetch)
    assert bases == allele_sequences(interval, variant, fetch)[1]
    np.testing.assert_array_equal(
        places[:: -1 if interval.negative_strand else 1], reference_positions(interval, [variant])
    )


@settings(max_examples=40)
@given(variants=changes(), first=st.integers(-5, 200))
def test_places_in_the_reference(variants, first):
    interval = Interval("chr1", first, first + 80)
    bases, places = personal_sequence(interval, variants, fetch)
    assert len(bases) == len(places) == 80
    before = places < INSERTED  # left of the chromosome
    assert before.sum() == max(-first, 0)
    places[before] += 1
    places[places == INSERTED] = np.where(before, INSERTED, GONE)[places == INSERTED]
    known = places[places != GONE]
    assert (np.diff(known) > 0).all()
    changed = {p for one in variants for p in range(one.start, one.end)}
    assert all(
        fetch(Interval("chr1", p, p + 1)) == bases[i]
        for i, p in enumerate(places.tolist())
        if p != GONE and p not in changed
    )
    gone = {p for one in variants for p in range(one.start + len(one.alternate_bases), one.end)}
    assert not gone & set(known.tolist())
    if len(known):  # nothing else is missing
        assert set(range(int(known[0]), int(known[-1]) + 1)) - gone == set(known.tolist())
    other, _ = personal_sequence(Interval("chr1", first, first + 80, "-"), variants, fetch)
    assert other == reverse_complement(bases)


def test_worked_example():
    variants = [Variant("chr1", 3, "A", "G"), Variant("chr1", 3, "A", "ATT"), Variant("chr1", 5, "CGT", "C")]
    bases, places = personal_sequence(
        Interval("chr1", 0, 10), variants, lambda one: "TCAACGTTGACCAGGT"[one.start : one.end]
    )
    assert bases == "TCGTTACTGA"
    assert places.tolist() == [0, 1, 2, -1, -1, 3, 4, 7, 8, 9]
    assert trim(Variant("chr1", 10, "GAT", "GCT")) == Variant("chr1", 11, "A", "C")


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (("AC", "A"), (1, "C", "G"), True),
        (("ACG", "A"), (1, "C", "CT"), True),  # into what is gone
        (("A", "AT"), (0, "A", "AC"), True),  # no order
        (("A", "G"), (0, "A", "AC"), False),  # after the changed anchor
        (("ACG", "A"), (0, "A", "AT"), False),  # in the place of what is gone
        (("AC", "A"), (2, "G", "T"), False),
        (("AC", "GC"), (1, "C", "G"), False),
    ],
)
def test_what_overlaps(one, other, overlap):
    variants = [Variant("chr1", 10, *one), Variant("chr1", 10 + other[0], *other[1:])]
    for order in (variants, variants[::-1]):
        assert (find_overlap(order) is not None) == overlap
        if overlap:
            with pytest.raises(InputError, match="overlap, so one haplotype cannot have both"):
                merge(order, fetch)


def test_what_cannot_be_merged():
    with pytest.raises(InputError, match="on one chromosome, got variants on chr1, chr2"):
        merge([Variant("chr1", 5, "A", "C"), Variant("chr2", 5, "A", "C")], fetch)
    with pytest.raises(InputError, match="got variants on none"):
        merge([], fetch)
    with pytest.raises(InputError, match="beyond the span 6-9"):
        merge([Variant("chr1", 5, "A", "C")], fetch, (6, 9))


def test_phase_sets_and_homozygous_alleles(tmp_path):
    path = write(
        tmp_path / "a.vcf",
        "10 = AA 0|1:10",
        "20 = AA 1|0:10",
        "30 = AA 1/1",  # nearest to 20
        "41 = AA 1/1",  # nearest to 50
        "50 = AA 1|0:50",
        "60 = AA,AAA 1|2:50",
        "70 = AA 0|1:10",  # sets may enclose each other
        "80 = AA 0/0",
        "chr2 10 = AA 1/1",
    )
    blocks, refused = blocks_of(path)
    assert not refused
    assert shown(blocks) == [
        (0, 1, "10", [20, 30]),
        (0, 2, "10", [10, 30, 70]),
        (1, 1, "50", [41, 50, 60]),
        (1, 2, "50", [41, 60]),
        (2, 1, "", [10]),
        (2, 2, "", [10]),
    ]


def test_long_blocks_are_cut_at_their_widest_gap(tmp_path):
    records = [f"{position} = AA 1|0" for position in (10, 20, 30, 100, 110, 150, 290)]
    path = write(tmp_path / "a.vcf", *records)
    assert [row[3] for row in shown(blocks_of(path, 60)[0])] == [[10, 20, 30], [100, 110, 150], [290]]
    assert [row[3] for row in shown(blocks_of(path, 21)[0])] == [[10, 20, 30], [100, 110], [150], [290]]
    # Of equal gaps the one nearest to the middle.
    assert [row[3] for row in shown(blocks_of(path, 15)[0])][:2] == [[10], [20, 30]]
    # An allele that is too long stays whole, and both haplotypes are cut at one place.
    both = write(tmp_path / "b.vcf", f"50 {GENOME[49:80]} A 1|0", "81 = AA 0|1", "200 = AA 1|0")
    assert [(*row[:2], row[3]) for row in shown(blocks_of(both, 10)[0])] == [(0, 1, [50]), (1, 2, [81]), (2, 1, [200])]
    with pytest.raises(InputError, match="max_span must be at least 1"):
        blocks_of(path, 0)


def test_what_cannot_be_on_a_haplotype_is_told(tmp_path):
    path = write(
        tmp_path / "a.vcf",
        "10 = AA 0|1",
        "20 = AA 0/1",
        "30 = AA,AAA 1/2",
        "40 = <DEL> 0|1",
        "50 = * 0|1",
        "60 = AA ./.",
        "70 = AA 1|.",
        "80 = AA 1/1",
        "90 = <CNV> 1|1",
    )
    blocks, refused = blocks_of(path)
    rows = [(one.call.position, one.call.alt, one.haplotype, one.status) for one in refused]
    assert rows == [
        (20, 0, 0, Phase.UNPHASED),
        (30, 0, 0, Phase.UNPHASED),
        (30, 1, 0, Phase.UNPHASED),
        (40, 0, 2, Status.SYMBOLIC),
        (50, 0, 2, Status.STAR),
        (60, 0, 0, Phase.NO_GENOTYPE),
        (70, 0, 2, Phase.NO_GENOTYPE),
        (90, 0, 1, Status.SYMBOLIC),
        (90, 0, 2, Status.SYMBOLIC),
    ]
    assert [(one.haplotype, one.left_out, [c.position for c in one.calls]) for one in blocks] == [
        (1, 0, [70, 80]),
        (2, 6, [10, 80]),
    ]
    assert "genotype 1/2" in refused[1].detail


def test_overlapping_alleles_refuse_their_haplotype(tmp_path):
    path = write(tmp_path / "a.vcf", f"10 {GENOME[9:13]} {GENOME[9]} 1|1", "12 = AA 0|1", "90 = AA 1|0")
    (one, other), refused = blocks_of(path)
    assert (one.status, other.status) == (Phase.PHASED, Phase.OVERLAP)
    assert not refused
    assert "overlap, so one haplotype cannot have both" in other.detail


@settings(max_examples=25)
@given(data=st.data())
def test_no_copy_is_lost(data, tmp_path_factory):
    genotypes = st.sampled_from(["0|1", "1|0", "1|1", "1/1", "0/1", "0/0", "./.", "1|.", "./1", "1", "0"])
    records, carried = [], 0
    for position in sorted(data.draw(st.sets(st.integers(5, 290), min_size=1, max_size=12))):
        genotype, phase_set = data.draw(genotypes), data.draw(st.sampled_from(["", ":5", ":9"]))
        records.append(f"{position} = {data.draw(st.sampled_from(['AA', 'GTT', '*', '<INS>']))} {genotype}{phase_set}")
        carried += genotype.count("1") + ("." in genotype)
    path = write(tmp_path_factory.mktemp("all") / "a.vcf", *records)
    span = data.draw(st.integers(1, 300))
    blocks, refused = blocks_of(path, span)
    assert sum(len(block.calls) for block in blocks) + len(refused) == carried
    places = [(call.position, block.haplotype) for block in blocks for call in block.calls]
    assert len(set(places)) == len(places)
    for block in blocks:
        assert len(block.calls) == 1 or block.calls[-1].position - block.calls[0].position < span


def test_bad_files(tmp_path):
    path = write(tmp_path / "a.vcf", "10 = AA 0|1")
    with pytest.raises(InputError, match=r"no sample 'ANNE'; choose one with --sample, such as ANNA.*2 in all"):
        list(read_genotypes(path, "ANNE"))
    with pytest.raises(InputError, match="several samples; choose one with --sample, such as ANNA, BERT"):
        list(read_genotypes(path))
    blank = tmp_path / "blank.vcf"
    blank.write_text("##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    with pytest.raises(InputError, match="has no samples"):
        list(read_genotypes(blank))
    without = tmp_path / "without.vcf"
    without.write_text(
        "\n".join(line for line in path.read_text().splitlines() if "ID=GT" not in line).replace("GT:PS", "PS")
    )
    with pytest.raises(InputError, match="no genotypes"):
        list(read_genotypes(without, "ANNA"))
    packed = tmp_path / "a.vcf.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="bgzip > new"):
        list(read_genotypes(packed, "ANNA"))
    with pytest.raises(InputError, match="sort the file"):
        blocks_of(write(tmp_path / "b.vcf", "10 = AA 0|1", "9 = AA 0|1"))
    with pytest.raises(InputError, match="chr1 are not together"):
        blocks_of(write(tmp_path / "c.vcf", "10 = AA 0|1", "chr2 9 = AA 0|1", "12 = AA 0|1"))
    with pytest.raises(InputError, match="names an allele that the record does not have"):
        blocks_of(write(tmp_path / "d.vcf", "10 = AA 0|2"))
