import itertools

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.sources import spool, text
from ag_data.sources.bam import BamSource
from ag_data.sources.bigwig import BigWigSource
from ag_data.sources.fragments import FragmentsSource
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WHOLE = Interval("chr1", 0, 1000)


def bases(values):
    return {int(base): float(values[base]) for base in np.flatnonzero(values)}


def counts(path, track=0, **options):
    return bases(registry().create("sources", "fragments", path, **options).read(WHOLE)[:, track])


def tenx(spans):
    """Sorted lines as of 10x: barcode, and how many read pairs say so."""
    return [f"chr1\t{start}\t{end}\tACGT-1\t{1 + start % 3}" for start, end in sorted(spans)]


def test_insertions_of_a_fragment(write_text):
    path = write_text("a.fragments.tsv.gz", "# id=x", "chr1\t100\t150\tAAC-1\t2", "chr1\t149\t160\tAAC-2\t1")
    assert counts(path) == {100: 1, 149: 2, 159: 1}
    assert counts(path, shifted=False) == {104: 1, 144: 1, 153: 1, 154: 1}
    assert counts(path, shifted=False, tn5_shift=(4, -4)) == {104: 1, 145: 1, 153: 1, 155: 1}
    coverage = counts(path, count="coverage")
    assert coverage == {**dict.fromkeys(range(100, 160), 1), 149: 2}
    assert FragmentsSource(path).tracks()["name"].item() == "a"


def test_raw_and_moved_coordinates_of_one_event(write_text):
    """Tn5 copies [500, 509). Moved by (+4, -5), the two fragments meet at 504 and count at the bases beside it."""
    raw = write_text("raw.bedpe", "chr1\t400\t509", "chr1\t500\t600")
    moved = write_text("moved.bedpe", "chr1\t404\t504", "chr1\t504\t595")
    assert counts(raw, shifted=False) == counts(moved) == {404: 1, 503: 1, 504: 1, 594: 1}


def test_reads_count_as_in_a_bam(write_text, write_bam):
    random = np.random.default_rng(0)
    found = [(int(start), "36M", 16 * int(random.integers(2))) for start in random.integers(60, 900, 300)]
    lines = [f"chr1\t{start}\t{start + 36}\tN\t1000\t{'-' if flag else '+'}" for start, _, flag in sorted(found)]
    bam = write_bam(found)
    for name in ("a.tagAlign.gz", "a.tagAlign.bgz"):
        path = write_text(name, *lines)
        for options in (
            {"count": "cut_sites"},
            {"count": "coverage", "extend": 150},
            {"count": "coverage", "scale": "cpm"},
            {"count": "five_prime"},
        ):
            own, other = FragmentsSource(path, **options), BamSource(bam, **options)
            np.testing.assert_array_equal(own.read(WHOLE), other.read(WHOLE))
        stranded = FragmentsSource(path, stranded=True, count="five_prime", resolution=16).read(WHOLE)
        other = BamSource(bam, stranded="forward", count="five_prime", resolution=16).read(WHOLE)
        np.testing.assert_array_equal(stranded, other)
        assert FragmentsSource(path).facts()["kind"] == "reads"


def test_pairs(write_text):
    """From end to end in any order, on the strand of the first mate; mates on two chromosomes are no pair."""
    lines = [
        "chr1\t100\t120\tchr1\t150\t170\tp1\t60\t+\t-",
        "chr1\t350\t370\tchr1\t300\t320\tp2\t60\t-\t+",
        "chr1\t400\t420\tchr2\t400\t420\tp3\t60\t-\t+",
        ".\t-1\t-1\t.\t-1\t-1\tp4\t0\t+\t-",
    ]
    path = write_text("a.bedpe", *lines)
    source = FragmentsSource(path, count="coverage", stranded=True)
    values = source.read(WHOLE)
    assert bases(values[:, 0]) == dict.fromkeys(range(100, 170), 1)
    assert bases(values[:, 1]) == dict.fromkeys(range(300, 370), 1)
    facts = source.facts()
    assert (facts["kind"], facts["counted"], facts["pairs_left_out"]) == ("pairs", 2, 2)
    assert counts(path) == {104: 1, 164: 1, 304: 1, 364: 1}
    bad = write_text("bad.bedpe", *lines[:2], "chr1\t5\t5\tchr1\t7\t9\tp5\t60\t+\t-")
    with pytest.raises(InputError, match="line 3: start -1"):
        FragmentsSource(bad)


SPANS = st.lists(st.tuples(st.integers(0, 940), st.integers(1, 60)), min_size=1, max_size=30)


@given(SPANS, st.lists(st.integers(1, 124)), st.sampled_from(["a.tsv", "a.tsv.bgz"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_blocks_do_not_show(write_text, read_all, spans, edges, name):
    lines = [f"chr1\t{a}\t{a + w}\tX\t0\t{'+-'[w % 2]}" for a, w in sorted(spans)]
    path = write_text(name, *lines)
    for options in (
        {"kind": "fragments", "shifted": False},
        {"kind": "reads", "tn5_shift": (-90, 120), "duplicates": "drop"},
        {"kind": "reads", "count": "coverage", "extend": 200, "stranded": True, "resolution": 8},
    ):
        source = FragmentsSource(path, **options)
        whole = read_all(source, "chr1", 1000)
        np.testing.assert_array_equal(read_all(source, "chr1", 1000, [8 * edge for edge in edges]), whole)
    expected = np.zeros(1000)
    for start, width in spans:
        expected[start : start + width] += 1
    covered = FragmentsSource(path, kind="fragments", count="coverage").read(WHOLE)[:, 0]
    np.testing.assert_array_equal(covered, expected)


def test_duplicates(write_text, monkeypatch):
    lines = ["chr1\t10\t20", "chr1\t10\t20", "chr1\t10\t21", "chr1\t10\t20", "chr1\t30\t40", "chr1\t30\t40"]
    for name in ("a.tsv", "a.bgz"):
        path = write_text(name, *lines)
        assert counts(path) == {10: 4, 19: 3, 20: 1, 30: 2, 39: 2}
        assert counts(path, duplicates="drop") == {10: 2, 19: 1, 20: 1, 30: 1, 39: 1}
        for piece in (1, 2, 5):
            monkeypatch.setattr(spool, "_PIECE", piece)
            path.touch()
            facts = FragmentsSource(path, duplicates="drop").facts()
            assert (facts["records"], facts["counted"]) == (6, 3)
        scaled = counts(path, duplicates="drop", scale="cpm")
        assert scaled[30] == np.float32(1e6 / 3)


def test_one_line_of_another_strand_is_no_duplicate(write_text):
    path = write_text("a.bed", *["chr1\t10\t20\tN\t0\t+"] * 2, "chr1\t10\t20\tN\t0\t-")
    assert counts(path, kind="reads", tn5_shift=(0, 0), duplicates="drop") == {10: 1, 19: 1}


@pytest.mark.parametrize(("move", "distance"), [((0, 0), 9), ((4, -5), 0), ((4, -4), 1)])
@pytest.mark.parametrize("kind", ["fragments", "reads"])
def test_coordinates_tell_whether_they_were_moved(write_text, move, distance, kind):
    """Insertions at random places; each makes the end of one fragment and the start of the next."""
    random = np.random.default_rng(3)
    places = np.cumsum(random.integers(30, 200, 3000))
    spans = [(a + move[0], b + 9 + move[1]) for a, b in itertools.pairwise(places)]
    lines = [f"chr1\t{a}\t{b}" for a, b in spans]
    if kind == "reads":
        ends = [(a, a + 36, "+") for a, _ in spans] + [(b - 36, b, "-") for _, b in spans]
        lines = [f"chr1\t{max(a, 0)}\t{b}\tN\t0\t{strand}" for a, b, strand in sorted(ends)]
    found = FragmentsSource(write_text("a.bed", *lines)).facts()["end_meets_start"]
    assert found["distance"] == distance
    assert found["times_median"] > 100


def test_facts_of_lengths(write_text):
    facts = FragmentsSource(write_text("a.tsv", *tenx([(0, 50), (5, 105), (10, 3010), (20, 120)]))).facts()
    assert facts["length"] == {"mean": 812.5, "q5": 50, "q25": 50, "q50": 100, "q75": 100, "q95": 2000}
    assert (facts["shifted"], facts["kind"], facts["end_meets_start"]) == (True, "fragments", None)


def test_fragments_that_look_like_reads(write_text):
    """Every line on '+' or every length another: the file may be either, and counts would differ."""
    lines = [f"chr1\t{i}\t{i + 36}\tN\t0\t+" for i in range(60)]
    with pytest.raises(InputError, match=r"all are on '\+', as in files of fragments; say .* kind=fragments or"):
        FragmentsSource(write_text("a.bed", *lines))
    lines = [f"chr1\t{i}\t{2 * i + 36}\tN\t0\t{'+-'[i % 2]}" for i in range(60)]
    path = write_text("b.bed", *lines)
    with pytest.raises(InputError, match="their lengths all differ"):
        FragmentsSource(path)
    assert sum(counts(path, kind="fragments").values()) == 120
    assert sum(counts(path, kind="reads").values()) == 60


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["chr1\t5\t10", "chr1\t9\t9"], {}, "line 2: start 9 and end 9"),
        (["# x", "chr1\t5\t10\tA\t1", "chr1\t5\t1o\tA\t1"], {}, "line 3: end is b'1o'"),
        (["chr1\t5"], {}, "has 2 columns; expected chromosome, start and end"),
        (["chr1\t5\t10"], {"stranded": True}, "has 3 columns and so no strands"),
        (["chr1\t5\t10"], {"count": "five_prime"}, "has 3 columns and so no strands"),
        (["chr1\t5\t10"], {"count": "coverage", "extend": 200}, "holds fragments, which have both their ends"),
        (["chr1\t5\t10\tN\t0\t."], {"kind": "reads"}, r"line 1: strand is '\.'; expected"),
        (["chr1\t5\t10"], {"kind": "bam"}, "kind is 'bam'; expected one of fragments, reads, pairs"),
        (["chr1\t5\t10"], {"duplicates": True}, "duplicates is True; expected one of keep, drop"),
        (["chr1\t5\t10"], {"count": "three_prime"}, "count is 'three_prime'; expected one of"),
    ],
)
def test_bad_files_and_options(write_text, lines, options, message):
    with pytest.raises(InputError, match=message):
        FragmentsSource(write_text("bad.bed", *lines), **options)


def test_a_bad_line_behind_an_index(write_text):
    source = FragmentsSource(write_text("a.bgz", "chr1\t5\t10\tA\t1", "chr1\t20\t30\tA\tx", "chr1\t40\t45"))
    assert source.read(Interval("chr1", 0, 15)).sum() == 2
    with pytest.raises(InputError, match="a record has 3 columns, the first record has 5"):
        source.read(WHOLE)


def test_many_chromosomes_in_any_order(write_text, monkeypatch):
    random = np.random.default_rng(1)
    found = [(f"c{random.integers(12)}", int(start)) for start in random.integers(0, 900, 800)]
    path = write_text("a.tsv", *(f"{name}\t{start}\t{start + 50}" for name, start in found))
    monkeypatch.setattr(text, "_SIZE", 700)
    source = FragmentsSource(path, count="coverage")
    assert list(source.chromosomes()) == list(dict.fromkeys(name for name, _ in found))
    for name in source.chromosomes():
        expected = np.zeros(1000)
        for _, start in (one for one in found if one[0] == name):
            expected[start : start + 50] += 1
        np.testing.assert_array_equal(source.read(Interval(name, 0, 1000))[:, 0], expected)


@pytest.mark.real_data
def test_cut_sites_of_yeast(shared):
    """ATAC-seq fragments with raw coordinates against cut sites that others made from them: equal at every base."""
    source = FragmentsSource(shared / "yeast/ATAC_SRR1822137_500k.bedpe.gz", shifted=True)
    cuts = BigWigSource(shared / "yeast/ATAC_SRR1822137_cuts.bw")
    for chromosome, length in cuts.chromosomes().items():
        whole = Interval(chromosome, 0, length)
        np.testing.assert_array_equal(source.read(whole), cuts.read(whole))
    assert source.facts()["end_meets_start"]["distance"] == 9


@pytest.mark.real_data
def test_cut_sites_of_chr20(shared):
    """Fragments that were moved; the bigWig holds windows of 50 bp around each cut."""
    path = shared / "hg19_tracks/chr20/ATAC_50k_fragments.chr20.bed.bz2"
    source = FragmentsSource(path, kind="fragments")
    whole = Interval("chr20", 0, 13_400_000)
    cuts = source.read(whole)[:, 0]
    windows = BigWigSource(shared / "hg19_tracks/chr20/ATAC_50k_fragments_cuts50.chr20_0-13.4M.bw").read(whole)[:, 0]
    around = np.convolve(cuts, np.ones(50))[25 : 25 + len(cuts)]  # from 25 bases before to 24 after
    np.testing.assert_array_equal(around[100:-100], windows[100:-100])
    assert source.facts()["end_meets_start"]["distance"] == 0


@pytest.mark.real_data
def test_extended_reads_of_chip_seq(shared):
    """Single-end reads extended to 200 bp, against the coverage that others made from them."""
    reads = FragmentsSource(shared / "hg19_tracks/chr22/CTCF_SE_ChIP_chr22_50k.bed.gz", count="coverage", extend=200)
    whole = Interval("chr22", 0, 51_304_566)
    other = BigWigSource(shared / "hg19_tracks/chr22/CTCF_ChIP_ext200.chr22.bw")
    np.testing.assert_array_equal(reads.read(whole), other.read(whole))
