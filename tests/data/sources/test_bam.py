import numpy as np
import pysam
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.sources import reads
from ag_data.sources.bam import BamSource
from ag_data.sources.ends import cut_site
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Flags: paired, properly paired, reverse, mate reverse, first, second.
FIRST_PLUS, SECOND_MINUS = 0x1 | 0x2 | 0x20 | 0x40, 0x1 | 0x2 | 0x10 | 0x80
FIRST_MINUS, SECOND_PLUS = 0x1 | 0x2 | 0x10 | 0x40, 0x1 | 0x2 | 0x20 | 0x80
PLUS, MINUS = 0, 16

WHOLE = Interval("chr1", 0, 1000)


def bases(values):
    """Bases that hold something, with what they hold."""
    return {int(base): float(values[base]) for base in np.flatnonzero(values)}


def counts(path, track=0, interval=WHOLE, **options):
    return bases(BamSource(path, **options).read(interval)[:, track])


def test_coverage_is_of_aligned_bases_only(write_bam):
    """Clips, insertions, introns and deletions are not covered; the read begins at base 100."""
    path = write_bam([(100, "3S4M2I2=10N1X3D2M5H", PLUS), (104, "4M", MINUS)])
    assert counts(path) == {
        **{100: 1, 101: 1, 102: 1, 103: 1, 104: 2, 105: 2, 106: 1, 107: 1},
        **{116: 1, 120: 1, 121: 1},
    }
    source = registry().create("sources", "bam", path, resolution=8)
    assert bases(source.read(WHOLE)[:, 0]) == {12: 4, 13: 6, 14: 1, 15: 2}
    assert source.chromosomes() == {"chr1": 1000}


def test_long_cigars(write_bam):
    """As of long reads, of which no two are the same."""
    path = write_bam([(100, "2M3D" * 16 + "2M", PLUS)])
    assert counts(path) == dict.fromkeys([100 + 5 * block + base for block in range(17) for base in (0, 1)], 1)


def test_ends(write_bam):
    path = write_bam([(100, "3S10M5N5M", PLUS), (200, "10M4S", MINUS)])
    assert counts(path, count="five_prime") == {100: 1, 209: 1}
    assert counts(path, count="three_prime") == {119: 1, 200: 1}
    assert counts(path, count="cut_sites") == {104: 1, 204: 1}
    assert counts(path, count="cut_sites", tn5_shift=(0, 0)) == {100: 1, 209: 1}


def test_the_two_ends_of_one_event(write_bam):
    """Tn5 copies bases [500, 509) to both sides: the left read ends with 508, the right one begins with 500."""
    left, right = (459, "50M", MINUS), (500, "50M", PLUS)
    path = write_bam([left, right])
    assert counts(path, count="cut_sites") == {503: 1, 504: 1}
    assert counts(path, count="cut_sites", tn5_shift=[4, -4]) == {504: 2}
    # DNase I cuts between 499 and 500.
    path = write_bam([(450, "50M", MINUS), right])
    assert counts(path, count="cut_sites", tn5_shift=(0, 0)) == {499: 1, 500: 1}
    assert counts(path, count="cut_sites", tn5_shift=(0, 1)) == {500: 2}


@given(st.lists(st.tuples(st.integers(20, 900), st.integers(1, 60), st.booleans()), min_size=1))
def test_which_shifts_are_the_same_on_both_strands(spans):
    """Cuts of the reverse complement are the reversed cuts; for left edges, the edges are reversed."""
    start, width, minus = (np.array(column) for column in zip(*spans, strict=True))
    end, length = start + width, 1000
    for shift, last in (((4, -4), length - 1), ((0, 1), length)):
        forward = cut_site(start, end, minus, shift)
        reverse = cut_site(length - end, length - start, ~minus, shift)
        np.testing.assert_array_equal(reverse, last - forward)


def test_strands_of_molecules(write_bam):
    """Two pairs, one from each strand, and a single read."""
    path = write_bam(
        [
            (100, "10M", FIRST_PLUS, 60, 60),
            (150, "10M", SECOND_MINUS, 60, -60),
            (300, "10M", SECOND_PLUS, 60, 60),
            (350, "10M", FIRST_MINUS, 60, -60),
            (500, "10M2N10M", PLUS),
        ]
    )
    source = BamSource(path, stranded="forward")
    assert source.tracks()["strand"].values.tolist() == ["+", "-"]
    forward = source.read(WHOLE)
    plus = {*range(100, 110), *range(150, 160), *range(500, 510), *range(512, 522)}
    assert bases(forward[:, 0]) == dict.fromkeys(sorted(plus), 1)
    assert bases(forward[:, 1]) == dict.fromkeys([*range(300, 310), *range(350, 360)], 1)
    np.testing.assert_array_equal(BamSource(path, stranded="reverse").read(WHOLE), forward[:, ::-1])
    np.testing.assert_array_equal(BamSource(path).read(WHOLE)[:, 0], forward.sum(axis=1))
    assert counts(path, count="five_prime", stranded="forward", mates="first") == {100: 1, 500: 1}
    assert counts(path, 1, count="five_prime", stranded="forward", mates="first") == {359: 1}
    assert counts(path, 1, count="five_prime", stranded="reverse", mates="second") == {159: 1, 500: 1}


def test_fragments(write_bam):
    """Single reads extended from their 5' ends, over both ends of the chromosome; pairs from end to end."""
    path = write_bam([(5, "20M", MINUS), (100, "20M", PLUS), (180, "20M", MINUS), (990, "10M", PLUS)])
    expected = dict.fromkeys([*range(0, 25), *range(100, 170), *range(990, 1000)], 1)
    assert counts(path, extend=50) == {**expected, **dict.fromkeys(range(100, 200), 1)}
    too_long = [(10, "10M", FIRST_PLUS, 60, 2001), (2001, "10M", SECOND_MINUS, 60, -2001)]
    pairs = [
        (100, "10M", FIRST_PLUS, 60, 60),
        (150, "10M", SECOND_MINUS, 60, -60),
        (155, "10M", SECOND_PLUS, 60, 15),
        (160, "10M", FIRST_MINUS, 60, -15),
        (300, "10M", PLUS),
        (400, "10M", FIRST_PLUS & ~0x2, 60, 80),
    ]
    path = write_bam([*too_long, *pairs], {"chr1": 3000})
    source = BamSource(path, extend="pairs", stranded="forward", scale="cpm")
    values = source.read(Interval("chr1", 0, 3000)) / 500_000
    assert bases(values[:, 0]) == dict.fromkeys(range(100, 160), 1)
    assert bases(values[:, 1]) == dict.fromkeys(range(155, 170), 1)
    facts = source.facts()
    assert facts["reads_counted"] == 2
    assert facts["left_out"] == {"not_properly_paired": 2, "other_mate": 3, "pair_too_long": 1}
    assert facts["mean_fragment_length"] == 37.5


def test_filters_and_facts(write_bam):
    reads_written = [
        (10, "10M", PLUS, 30),
        (20, "10M", 0x100, 30),
        (30, "10M", 0x800, 30),
        (40, "10M", 0x400, 30),
        (50, "10M", 0x200, 30),
        (60, "10M", 0x4, 0),
        (70, "10M", MINUS, 29),
        (80, "10M", FIRST_PLUS, 30, 100),
        (170, "10M", SECOND_MINUS, 30, -100),
        (200, "10M", FIRST_PLUS & ~0x2, 30),
        (5, "10M", PLUS, 60, 0, "chr2"),
    ]
    path = write_bam(reads_written, {"chr1": 1000, "chr2": 500})
    assert list(counts(path, count="five_prime")) == [10, 79, 80, 179, 200]
    assert list(counts(path, count="five_prime", min_mapq=30)) == [10, 80, 179, 200]
    assert list(counts(path, count="five_prime", min_mapq=30, proper_pairs_only=True)) == [80, 179]
    assert list(counts(path, count="five_prime", skip_flags=0x4)) == [10, 20, 30, 40, 50, 79, 80, 179, 200]
    source = BamSource(path, count="five_prime", min_mapq=30, scale="rpm")
    facts = source.facts()
    assert (facts["reads"], facts["reads_counted"], facts["paired"], facts["mean_fragment_length"]) == (11, 5, 3, 100)
    left_out = {"unmapped", "secondary", "supplementary", "failed_quality", "duplicate", "low_mapping_quality"}
    assert facts["left_out"] == dict.fromkeys(left_out, 1)
    assert set(counts(path, count="five_prime", min_mapq=30, scale="rpm").values()) == {200_000}
    assert set(counts(path, count="five_prime", scale=0.5).values()) == {0.5}
    with pytest.raises(InputError, match="no read passes the filters"):
        BamSource(path, min_mapq=61, scale="cpm").read(WHOLE)


def test_counts_of_a_file_are_remembered_until_it_changes(write_bam, monkeypatch):
    path = write_bam([(10, "10M", PLUS)], name="one.bam")
    assert BamSource(path).facts()["reads"] == 1
    with monkeypatch.context() as patch:
        patch.delattr(reads.ReadFile, "count")
        patch.setattr(reads.ReadFile, "count", None, raising=False)
        assert BamSource(path, min_mapq=61).facts()["left_out"] == {"low_mapping_quality": 1}
    write_bam([(10, "10M", PLUS), (20, "10M", PLUS)], name="one.bam")
    assert BamSource(path).facts()["reads"] == 2


CIGARS = ["20M", "5M300N15M", "10M2D10M", "5S5M1I5M", "1M", "8M40N4M40N8M", "150M", "2M1D" * 20 + "2M"]
READ = st.tuples(
    st.integers(0, 650),
    st.sampled_from(CIGARS),
    st.sampled_from([PLUS, MINUS, FIRST_PLUS, SECOND_MINUS, FIRST_MINUS, SECOND_PLUS]),
    st.just(60),
    st.integers(-5, 350),
)
OPTIONS = [
    {"stranded": "reverse"},
    {"resolution": 16},
    {"extend": 173},
    {"extend": "pairs", "stranded": "forward", "resolution": 4},
    {"count": "five_prime", "stranded": "forward"},
    {"count": "three_prime"},
    {"count": "cut_sites"},
    {"count": "cut_sites", "tn5_shift": (-40, 60)},
]


@given(st.lists(READ, min_size=1, max_size=25), st.lists(st.integers(1, 62)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_blocks_do_not_show(write_bam, read_all, found, edges):
    """Whatever the blocks, values are those of a look at every read."""
    path = write_bam(found)
    for options in OPTIONS:
        source = BamSource(path, **options)
        whole = read_all(source, "chr1", 1000)
        np.testing.assert_array_equal(read_all(source, "chr1", 1000, [16 * edge for edge in edges]), whole)
    expected = np.zeros(1000)
    with pysam.AlignmentFile(str(path)) as file:
        for read in file:
            for start, end in read.get_blocks():
                expected[start:end] += 1
    np.testing.assert_array_equal(BamSource(path).read(WHOLE)[:, 0], expected)


def test_pieces_do_not_show(write_bam, monkeypatch):
    random = np.random.default_rng(0)
    found = [(int(start), CIGARS[start % 8], PLUS if start % 3 else 0x400) for start in random.integers(0, 600, 200)]
    path = write_bam(found)
    whole, facts = BamSource(path).read(WHOLE), BamSource(path).facts()
    monkeypatch.setattr(reads, "_PIECE", 7)
    path.touch()
    np.testing.assert_array_equal(BamSource(path).read(WHOLE), whole)
    assert BamSource(path).facts() == facts


def test_cram_without_its_reference(write_bam, write_fasta):
    """Neither bases nor qualities are decoded, so the reference may be anywhere."""
    found = [(start, "30M5N20M", PLUS) for start in range(0, 900, 9)]
    fasta = write_fasta({"chr1": "ACGTTGCA" * 125})
    cram = write_bam(found, name="reads.cram", reference_filename=str(fasta))
    with pysam.AlignmentFile(str(cram)) as file:
        assert file.is_cram
    for path in fasta.parent.glob("genome.fa*"):
        path.unlink()
    bam = write_bam(found)
    for options in ({}, {"count": "cut_sites", "scale": "cpm"}):
        np.testing.assert_array_equal(BamSource(cram, **options).read(WHOLE), BamSource(bam, **options).read(WHOLE))
        assert BamSource(cram, **options).facts() == BamSource(bam, **options).facts()
    whole = cram.read_bytes()
    cram.write_bytes(whole[:-40])
    with pytest.raises(InputError, match="is truncated: the block that ends a CRAM file is missing"):
        BamSource(cram)


def test_files_that_cannot_be_read_by_place(write_bam, tmp_path):
    found = [(start, "10M", PLUS) for start in (500, 10)]
    with pytest.raises(InputError, match="has no index, which is needed to read it by place; run `samtools index`"):
        BamSource(write_bam(found, index=False))
    with pytest.raises(InputError, match=r"run `samtools sort -o sorted\.bam` \(its header says queryname\), then"):
        BamSource(write_bam(found, order="queryname", index=False))
    with pytest.raises(InputError, match="is a SAM file; run `samtools sort"):
        BamSource(write_bam(found, name="reads.sam", index=False))
    (tmp_path / "text.bam").write_text("chr1\t5\t10\n")
    with pytest.raises(InputError, match="is no BAM or CRAM file"):
        BamSource(tmp_path / "text.bam")


def test_truncated_file(write_bam):
    random = np.random.default_rng(0)
    found = [(int(start), "50M", PLUS) for start in np.sort(random.integers(0, 900_000, 20_000))]
    path = write_bam(found, {"chr1": 1_000_000})
    whole = path.read_bytes()
    path.write_bytes(whole[:-28])
    with pytest.raises(InputError, match="is truncated: the block that ends a bgzip file is missing"):
        BamSource(path)
    # The end is there, but something in the middle is not.
    path.write_bytes(whole[: len(whole) // 2] + bytes(2000) + whole[len(whole) // 2 + 2000 :])
    source = BamSource(path)
    with pytest.raises(InputError, match=r"cannot be read near chr1:0 .* damaged"):
        source.read(Interval("chr1", 0, 1_000_000))
    with pytest.raises(InputError, match="cannot be read in its middle"):
        source.facts()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": "reads"}, "count is 'reads'; expected one of coverage, five_prime"),
        ({"stranded": True}, "stranded is True; expected false, forward or reverse"),
        ({"tn5_shift": 4}, "tn5_shift is 4; expected two whole numbers"),
        ({"extend": 0}, "extend is 0; expected"),
        ({"extend": 200, "count": "five_prime"}, "extend is 200; expected, with count=coverage"),
        ({"extend": "pairs", "mates": "first"}, "extend=pairs counts pairs"),
        ({"mates": "third"}, "mates is 'third'; expected one of both"),
        ({"scale": "million"}, "scale is 'million'; expected none, cpm"),
    ],
)
def test_options_are_checked(write_bam, options, message):
    with pytest.raises(InputError, match=message):
        BamSource(write_bam([(0, "10M", PLUS)]), **options)


@pytest.mark.real_data
def test_rna_seq(shared, tmp_path):
    """An RNA-seq BAM of 31,678 reads against pysam's own blocks; half of all reads are antisense in this library."""
    path = tmp_path / "rna.bam"
    path.write_bytes((shared / "fixtures/formats/hg19_chr22_HCC1395_RNAseq.bam").read_bytes())
    with pytest.raises(InputError, match="has no index"):
        BamSource(path)
    pysam.index(str(path))
    start, end = 22_376_000, 22_476_000
    expected = np.zeros(end - start)
    with pysam.AlignmentFile(str(path)) as file:
        for read in file:
            if not read.flag & 0xF04:
                for first, last in read.get_blocks():
                    expected[first - start : last - start] += 1
    interval = Interval("1", start, end)
    source = BamSource(path)
    np.testing.assert_array_equal(source.read(interval)[:, 0], expected)
    facts = source.facts()
    assert facts["left_out"] == {"secondary": 608, "duplicate": 9138}
    assert facts["reads"] == 31_678
    strands = BamSource(path, stranded="forward").read(interval).sum(axis=0)
    assert 0.9 < strands[0] / strands[1] < 1.1
