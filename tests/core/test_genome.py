import dataclasses

import pytest
from ag_core.genome import Interval, Variant, VariantFormat, chromosome_aliases, normalize_variant
from hypothesis import given, settings
from hypothesis import strategies as st

STRAND = st.sampled_from("+-.")
BASES = st.text("ACGT", max_size=6)


@st.composite
def intervals(draw):
    start = draw(st.integers(-50, 200))
    return Interval("chr1", start, start + draw(st.integers(0, 60)), draw(STRAND))


def genome_fetch(genome):
    def fetch(interval):
        return "".join(genome[i] if 0 <= i < len(genome) else "N" for i in range(interval.start, interval.end))

    return fetch


def haplotype(genome, variant):
    return genome[: variant.start] + variant.alternate_bases + genome[variant.end :]


@st.composite
def variants_on_genome(draw):
    """A small repetitive genome and a change to it whose reference bases are right."""
    genome = draw(st.text("AC", min_size=4, max_size=24))
    start = draw(st.integers(0, len(genome) - 1))
    end = draw(st.integers(start, min(len(genome), start + 5)))
    alternate = draw(st.text("AC", max_size=5))
    return genome, Variant("chr1", start + 1, genome[start:end], alternate)


# Interval


def test_interval_has_a_text_form_and_reads_it_back():
    interval = Interval("chr1", 10, 20, "-")
    assert str(interval) == "chr1:10-20:-"
    assert Interval.from_str("chr1:10-20:-") == interval
    assert Interval.from_str("HLA-A*01:01:-5-20") == Interval("HLA-A*01:01", -5, 20)


def test_a_region_is_one_based_with_both_ends_included():
    assert Interval.from_region("chr1:1,001-2,000") == Interval("chr1", 1000, 2000)
    assert Interval.from_region("chr1:7") == Interval("chr1", 6, 7)
    assert Interval("chr1", 1000, 2000).region == "chr1:1,001-2,000"


@pytest.mark.parametrize("text", ["chr1", "chr1:a-b", "chr1:1-2:x", "chr1:1,000-2,000", ""])
def test_from_str_says_what_it_expects(text):
    with pytest.raises(ValueError, match=r"cannot read the interval .*0-based half-open.*from_region"):
        Interval.from_str(text)


@pytest.mark.parametrize("text", ["chr1", "chr1:0-5", "chr1:9-5", "chr1:,-,"])
def test_from_region_says_what_it_expects(text):
    with pytest.raises(ValueError, match=r"cannot read the region .*1-based"):
        Interval.from_region(text)


def test_name_and_info_take_no_part_in_comparison():
    plain, named = Interval("chr1", 1, 2), Interval("chr1", 1, 2, name="x", info={"a": 1})
    assert plain == named
    assert len({plain, named}) == 1


def test_intervals_are_ordered_by_place_and_strand():
    places = [
        Interval("chr1", 1, 5, "+"),
        Interval("chr1", 1, 5, "-"),
        Interval("chr1", 2, 3),
        Interval("chr2", 0, 1),
    ]
    assert sorted(reversed(places)) == places


def test_wrong_intervals_are_refused():
    with pytest.raises(ValueError, match=r"chr1:5-4 ends before it starts"):
        Interval("chr1", 5, 4)
    with pytest.raises(ValueError, match=r"strand '\?' is none of"):
        Interval("chr1", 1, 4, "?")
    with pytest.raises(ValueError, match="no strand to swap"):
        Interval("chr1", 1, 4).swap_strand()
    with pytest.raises(ValueError, match="to -1 bp"):
        Interval("chr1", 1, 4).resize(-1)
    with pytest.raises(ValueError, match="ends before it starts"):
        Interval("chr1", 1, 4).pad(-2, -2)
    with pytest.raises(ValueError, match="expected a positive length"):
        Interval("chr1", 1, 4).truncate(0)


@pytest.mark.parametrize(
    ("strand", "center", "resized"), [(".", 13, (10, 15)), ("+", 13, (10, 15)), ("-", 12, (10, 15))]
)
def test_center_and_resize_of_an_odd_width(strand, center, resized):
    interval = Interval("chr1", 10, 15, strand)
    assert interval.center() == center
    assert interval.center(use_strand=False) == 13
    assert (interval.resize(5).start, interval.resize(5).end) == resized
    wide = interval.resize(8)
    assert (wide.start, wide.end) == (center - 4, center + 4)


def test_a_base_sits_left_of_the_middle_of_its_window():
    window = Interval("chr1", 100, 101).resize(8)
    assert (window.start, window.end) == (97, 105)  # the base is at index 8/2 - 1 = 3


@given(intervals(), st.integers(0, 100), st.booleans())
def test_resize_gives_the_width_and_keeps_the_center(interval, width, use_strand):
    resized = interval.resize(width, use_strand)
    assert resized.width == width
    if interval.width % 2 == width % 2:
        assert resized.center(use_strand) == interval.center(use_strand)
    assert abs(resized.center(False) - interval.center(False)) <= 1


@given(intervals(), st.integers(0, 9), st.integers(0, 9))
def test_pad_follows_the_strand(interval, up, down):
    padded = interval.pad(up, down)
    left, right = interval.start - padded.start, padded.end - interval.end
    assert (left, right) == ((down, up) if interval.strand == "-" else (up, down))
    assert padded.boundary_shift(up, -down) == interval
    assert interval.shift(up).start - interval.start == (-up if interval.strand == "-" else up)
    assert interval.shift(up, use_strand=False).start - interval.start == up


@given(intervals(), intervals())
def test_set_operations_agree_with_sets_of_positions(one, other):
    first, second = set(range(one.start, one.end)), set(range(other.start, other.end))
    if one.width and other.width:
        assert one.overlaps(other) == bool(first & second)
        assert one.contains(other) == (second <= first)
    common = one.intersect(other)
    assert set(range(common.start, common.end) if common else ()) == first & second
    assert common is None or common.strand == one.strand
    assert not one.overlaps(dataclasses.replace(other, chromosome="chr2"))


def test_reference_bounds():
    interval = Interval("chr1", -5, 20, "+")
    assert not interval.within_reference(100)
    assert interval.truncate(10) == Interval("chr1", 0, 10, "+")
    assert interval.truncate(10).within_reference(10)
    assert interval.swap_strand().swap_strand() == interval
    assert interval.as_unstranded().strand == "."


# Variant


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("default", "chr22:1024:A>C"),
        ("gtex", "chr22_1024_A_C_b38"),
        ("gtex", "chr22_1024_A_C"),
        ("open_targets", "22_1024_A_C"),
        ("open_targets_bigquery", "22:1024:A:C"),
        ("gnomad", "22-1024-A-C"),
    ],
)
def test_variant_formats(format, text):
    expected = Variant("chr22", 1024, "A", "C")
    assert Variant.from_str(text, VariantFormat(format)) == expected
    assert Variant.from_str(text, format) == expected
    assert Variant.from_str(text, None) == expected


def test_variant_text_may_lack_an_allele():
    assert Variant.from_str("X:5:>AC") == Variant("chrX", 5, "", "AC")
    assert str(Variant("chrX", 5, "", "AC")) == "chrX:5:>AC"
    assert Variant("chr1", 5, "A" * 60, "C").as_truncated_str(6) == "chr1:5:AAA...AAA>C"
    assert Variant("chr1", 5, "A" * 6, "C").as_truncated_str(6) == "chr1:5:AAAAAA>C"


@pytest.mark.parametrize("text", ["chr1:5:A>R", "chr1:5", "chrUn:5:A>C", "chr1:5:A>C ; drop", "chr1:-5:A>C"])
def test_unreadable_variants(text):
    with pytest.raises(ValueError, match=r"cannot read the variant .*expected the form chr22:1024:A>C"):
        Variant.from_str(text)
    with pytest.raises(ValueError, match=r"chr22:1024:A>C.*22-1024-A-C"):
        Variant.from_str(text, None)


def test_wrong_variants_are_refused():
    with pytest.raises(ValueError, match=r"position 0 on chr1: expected 1 or more"):
        Variant("chr1", 0, "A", "C")
    with pytest.raises(ValueError, match=r"alternate bases 'acg' .* contain 'acg'; expected only upper-case"):
        Variant("chr1", 1, "A", "acg")


@pytest.mark.parametrize(
    ("ref", "alt", "kinds"),
    [
        ("A", "C", {"is_snv"}),
        ("AC", "GT", set()),
        ("ACGT", "A", {"is_deletion", "is_indel"}),
        ("A", "AC", {"is_insertion", "is_indel", "is_frameshift"}),
        ("", "A" * 50, {"is_insertion", "is_indel", "is_frameshift", "is_structural"}),
    ],
)
def test_kinds_of_variants(ref, alt, kinds):
    variant = Variant("chr1", 10, ref, alt)
    every = ("is_snv", "is_deletion", "is_insertion", "is_indel", "is_frameshift", "is_structural")
    assert {kind for kind in every if getattr(variant, kind)} == kinds
    assert (variant.start, variant.end) == (9, 9 + len(ref))


def test_overlap_of_the_two_alleles():
    insertion = Variant("chr1", 10, "A", "ACC")
    assert insertion.reference_overlaps(Interval("chr1", 9, 10))
    assert not insertion.reference_overlaps(Interval("chr1", 10, 12))
    assert insertion.alternate_overlaps(Interval("chr1", 11, 12))
    assert not insertion.alternate_overlaps(Interval("chr1", 12, 13))


def test_split_leaves_the_surplus_on_the_right():
    left, right = Variant("chr1", 11, "ACG", "TTTTT").split(12)
    assert left == Variant("chr1", 11, "AC", "TT")
    assert right == Variant("chr1", 13, "G", "TTT")


@given(st.integers(1, 20), BASES, BASES, st.integers(-2, 30))
def test_split_parts_make_up_the_whole(position, ref, alt, anchor):
    variant = Variant("chr1", position, ref, alt)
    parts = [part for part in variant.split(anchor) if part]
    assert "".join(part.reference_bases for part in parts) == ref
    assert "".join(part.alternate_bases for part in parts) == alt
    if len(parts) == 2:
        assert parts[0].end == parts[1].start == anchor
    else:
        assert parts == [variant]


# Normalisation


@pytest.mark.parametrize(
    ("genome", "variant", "expected"),
    [
        # The example of Tan et al. 2015: a deleted CA in a CA repeat.
        ("GGGCACACACAGGG", "chr1:8:CA>", "chr1:3:GCA>G"),
        ("GGGCACACACAGGG", "chr1:5:ACA>A", "chr1:3:GCA>G"),
        # An insertion after the last base of a repeat.
        ("GTTTTC", "chr1:5:T>TT", "chr1:1:G>GT"),
        # Shared bases on both sides of a substitution.
        ("ACGTA", "chr1:1:ACGTA>ACTTA", "chr1:3:G>T"),
        # No base to the left: anchored on the right.
        ("AACG", "chr1:2:A>", "chr1:1:AA>A"),
        ("AACG", "chr1:1:AA>", "chr1:1:AAC>C"),
        # Nothing to do.
        ("ACGTA", "chr1:2:C>G", "chr1:2:C>G"),
        ("ACGTA", "chr1:2:CG>CG", "chr1:2:CG>CG"),
    ],
)
def test_normalisation(genome, variant, expected):
    assert str(normalize_variant(Variant.from_str(variant), genome_fetch(genome))) == expected


def test_normalisation_crosses_blocks_and_keeps_name_and_info():
    genome = "G" + "CA" * 1000 + "T"
    variant = Variant("chr1", 1990, genome[1989:1992], genome[1989], name="rs1", info={"a": 1})
    normal = normalize_variant(variant, genome_fetch(genome))
    assert (normal.position, normal.name, normal.info) == (1, "rs1", {"a": 1})


def test_parity_keeps_an_insertion_where_the_genome_goes_on_differently():
    fetch = genome_fetch("GTTTTC")
    assert str(normalize_variant(Variant.from_str("chr1:5:T>TT"), fetch, parity=True)) == "chr1:5:T>TT"
    assert str(normalize_variant(Variant.from_str("chr1:2:T>TT"), fetch, parity=True)) == "chr1:1:G>GT"


@given(variants_on_genome())
@settings(max_examples=300)
def test_normalisation_keeps_the_haplotype_and_settles(case):
    genome, variant = case
    fetch = genome_fetch(genome)
    for parity in (False, True):
        normal = normalize_variant(variant, fetch, parity=parity)
        # At the chromosome's end an anchor may be an N that is not there.
        assert haplotype(genome + "N", normal).rstrip("N") == haplotype(genome, variant)
        assert normal.position <= max(variant.position, variant.end)
    normal = normalize_variant(variant, fetch)
    assert normalize_variant(normal, fetch) == normal


@given(variants_on_genome(), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=300)
def test_equal_haplotypes_of_one_indel_get_one_form(case, left, right):
    genome, variant = case
    if not variant.is_indel:
        return
    fetch = genome_fetch(genome)
    start, end = max(0, variant.start - left), min(len(genome), variant.end + right)
    padded = Variant(
        "chr1",
        start + 1,
        genome[start:end],
        genome[start : variant.start] + variant.alternate_bases + genome[variant.end : end],
    )
    assert normalize_variant(padded, fetch) == normalize_variant(variant, fetch)


def test_aliases():
    assert chromosome_aliases("chr1") == ("1",)
    assert chromosome_aliases("X") == ("chrX",)
    assert "MT" in chromosome_aliases("chrM")
    assert "chrM" in chromosome_aliases("MT")
