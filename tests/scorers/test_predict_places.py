import gzip
import itertools

import numpy as np
import pytest
from ag_core.config import PAIR_BIN
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data import Fasta, read_gtf
from ag_scorers.align import align_alternate, alignment
from ag_scorers.predictor.places import Windows, gather_places, window_around
from ag_scorers.predictor.shifted import ShiftedRows
from hypothesis import given, settings
from hypothesis import strategies as st

OWN = Windows(4096)


@given(start=st.integers(-3000, 10**6), width=st.integers(1, 40_000), bins=st.integers(1, 20))
def test_windows_hold_their_region_and_lie_on_the_grid(start, width, bins):
    region, size = Interval("chr1", start, start + width), bins * PAIR_BIN
    window = window_around(region, size)
    assert window.contains(region)
    assert window.width % PAIR_BIN == 0
    assert window.width == size or width > size
    if width <= size - PAIR_BIN:
        assert window.start % PAIR_BIN == 0
        assert abs(window.center() - region.center()) <= PAIR_BIN
    if width == size:
        assert window == region


def test_a_fixed_window_does_not_grow():
    with pytest.raises(InputError, match=r"4,097 bp, more than the window of 4,096"):
        Windows(2048, 4096).around(Interval("chr1", 0, 4097))
    assert OWN.around(Interval("chr1", 100, 4197)) == Interval("chr1", 0, 6144)
    with pytest.raises(InputError, match=r"--window.*try 4,096"):
        Windows(2048, 4000)


@pytest.mark.parametrize("text", ["chr1:5,001-6,000", "1:5001-6000", "chr1:5001-6000:-"])
def test_a_region_is_one_based_and_may_have_a_strand(world, text):
    (place,) = gather_places(OWN, fasta=Fasta(world.fasta), region=text)
    strand = "-" if text.endswith(":-") else "."
    assert place.region == Interval("chr1", 5000, 6000, strand)
    assert place.window.strand == strand
    assert place.bases() == world.genome[place.window.start : place.window.end]


def test_a_gene_is_found_by_name_and_id(world):
    options = {"fasta": Fasta(world.fasta), "annotation": read_gtf(world.gtf)}
    places = [gather_places(OWN, gene=text, **options)[0] for text in ("TWO", "two", "G2", "G2.1")]
    assert {place.region for place in places} == {window_around(Interval("chr1", 9500, 12000), 4096)}
    with pytest.raises(InputError, match=r"no gene 'TWOO'.*close: TWO"):
        gather_places(OWN, gene="TWOO", **options)
    with pytest.raises(InputError, match="--gtf"):
        gather_places(OWN, gene="TWO", fasta=options["fasta"])


def test_regions_of_a_bed_file(world, tmp_path):
    path = tmp_path / "peaks.bed.gz"
    with gzip.open(path, "wt") as file:
        file.write("# c\ntrack name=x\nchr1\t100\t200\n1 300 400 peak/1 0 -\n\nchr1\t500\t600\tpeak_1\n")
    places = gather_places(OWN, fasta=Fasta(world.fasta), bed=path)
    assert [place.name for place in places] == ["chr1_101_200", "peak_1", "peak_1_2"]
    assert [place.region for place in places] == [
        Interval("chr1", 100, 200),
        Interval("chr1", 300, 400, "-"),
        Interval("chr1", 500, 600),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# nothing\n", "no region"),
        ("chr1\t5\n", r"line 1.*chromosome, start"),
        ("chr1\t5\t6\nchr1\tx\t9\n", r"line 2.*no BED region"),
        ("chr1\t5\t5\n", "the region is empty"),
        ("chr1\t9\t5\n", "line 1"),
        ("chr1\t5\t9\tn\t0\t*\n", "strand"),
        ("chr7\t5\t9\n", "no chromosome 'chr7'.*chr1"),
        ("chr1\t19990\t20001\n", "reaches beyond chr1"),
    ],
)
def test_bad_bed_files_are_refused(world, tmp_path, text, message):
    path = tmp_path / "bad.bed"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        gather_places(OWN, fasta=Fasta(world.fasta), bed=path)


def test_sequences_are_filled_up_with_n(tmp_path):
    path = tmp_path / "loose.fa"
    path.write_text(">one first\nacgtn\nACGT\n>two\n" + "A" * 2049 + "\n")
    one, two = gather_places(OWN, sequences=path)
    assert (one.name, one.region, one.window.width, two.window.width) == ("one", Interval("one", 0, 9), 2048, 4096)
    assert one.window.start % 128 == 0
    assert one.bases()[-one.window.start :][:9] == "ACGTNACGT"
    assert set(one.bases()[: -one.window.start] + one.bases()[-one.window.start + 9 :]) == {"N"}
    with pytest.raises(InputError, match=r"'two' has 2,049 bp, more than --window 2,048"):
        gather_places(Windows(4096, 2048), sequences=path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">a\nACGU\n", "'U' at base 4"),
        (">a\nA\n>a\nC\n", "occurs twice"),
        (">a\n>b\nA\n", "is empty"),
        ("ACGT\n", "has no sequence"),
    ],
)
def test_bad_sequences_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.fa"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        gather_places(OWN, sequences=path)


def test_a_variant_has_two_places(world):
    base, other = world.genome[7999], world.other(8000)
    ref, alt = gather_places(OWN, fasta=Fasta(world.fasta), variant=f"chr1:8000:{base}>{other}")
    assert (ref.name, alt.name) == ("REF", "ALT")
    assert ref.window == alt.window == Interval("chr1", 8000 - 2048, 8000 + 2048)
    assert ref.bases() == world.genome[ref.window.start : ref.window.end]
    assert alt.bases()[2047] == other
    for text, message in (
        (f"chr1:8000:{other}>{base}", "ref_mismatch"),
        ("chr1:x", "--variant"),
        ("chr2:5:A>C", "chr1"),
    ):
        with pytest.raises(InputError, match=message):
            gather_places(OWN, fasta=Fasta(world.fasta), variant=text)


def test_exactly_one_kind_of_place(world):
    with pytest.raises(InputError, match="got none"):
        gather_places(OWN, fasta=Fasta(world.fasta))
    with pytest.raises(InputError, match="got --region and --gene"):
        gather_places(OWN, fasta=Fasta(world.fasta), region="chr1:1-2", gene="ONE")
    with pytest.raises(InputError, match="--fasta"):
        gather_places(OWN, region="chr1:1-2")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_shifted_rows_are_aligned_rows(data):
    length = 12
    position = data.draw(st.integers(1, length))
    ref, alt = ("A" * data.draw(st.integers(1, 6)), "A" * data.draw(st.integers(1, 6)))
    moves = alignment(Interval("chr1", 0, length), Variant("chr1", position, ref, alt), length)
    values = np.random.default_rng(position).normal(size=(length, 2)).astype(np.float32)
    target = np.full_like(values, np.nan)
    rows = ShiftedRows(target, moves, length)
    cuts = sorted({0, length, *data.draw(st.lists(st.integers(0, length), max_size=3))})
    for start, stop in itertools.pairwise(cuts):
        rows[start:stop] = values[start:stop]
    np.testing.assert_array_equal(target, np.asarray(align_alternate(values, moves)))
