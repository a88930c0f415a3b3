import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_core.schema import strand_partners
from ag_data.sources.peaks import PeaksSource

WHOLE = Interval("chr1", 0, 100)
NARROW = [
    "chr1\t10\t20\tp1\t900\t+\t5.5\t-1\t2\t4",
    "chr1\t15\t30\tp2\t100\t-\t7.5\t-1\t2\t0",
    "chr2\t0\t4\tp3\t50\t+\t1\t-1\t2\t4",
]


def column(path, interval=WHOLE, **options):
    return registry().create("sources", "peaks", path, **options).read(interval)[:, 0].tolist()


def test_overlapping_peaks(write_text):
    path = write_text("a.narrowPeak.gz", *NARROW)
    covered = [0.0] * 10 + [1.0] * 20 + [0.0] * 70
    assert column(path) == covered
    assert column(path, resolution=8) == [0, 6, 8, 6, *[0] * 9]
    signal = column(path, value="signal")
    assert signal == [0] * 10 + [5.5] * 5 + [7.5] * 15 + [0] * 70
    assert column(path, value="score", resolution=10) == [0, 9000, 1000, *[0] * 7]
    assert column(path, value="qValue") == [2 * one for one in covered]
    assert column(path, Interval("chr1", 16, 19), value="signal", resolution=2) == [15, 7.5]


def test_a_bed_of_ten_columns_is_a_narrowpeak_whatever_its_name(write_text):
    assert max(column(write_text("ENCFF1.bed.gz", *NARROW), value="signal")) == 7.5
    three = write_text("a.bed", *(" ".join(line.split("\t")[:3]) for line in NARROW))
    assert sum(column(three)) == 20


def test_windows_around_summits(write_text):
    """Summits at base 14 and 15; the fifth base of peak 3 is past its end, as in some published files."""
    path = write_text("a.narrowPeak", *NARROW)
    assert np.flatnonzero(column(path, summit_window=1)).tolist() == [14, 15]
    assert np.flatnonzero(column(path, summit_window=4)).tolist() == [12, 13, 14, 15, 16]
    assert np.flatnonzero(column(path, summit_window=3, value="signal")).tolist() == [13, 14, 15, 16]
    assert np.flatnonzero(column(path, Interval("chr2", 0, 10), summit_window=12)).tolist() == [*range(10)]
    for wrong in (-1, 11):
        bad = write_text("b.narrowPeak", NARROW[1], NARROW[0][:-1] + str(wrong))
        with pytest.raises(InputError, match=rf"line 2: summit {wrong} of a peak of 10 bp"):
            PeaksSource(bad, summit_window=4)
        assert column(bad) == column(path)


def test_strands(write_text):
    source = PeaksSource(write_text("a.narrowPeak", *NARROW), stranded=True)
    tracks, values = source.tracks(), source.read(WHOLE)
    assert tracks["strand"].values.tolist() == ["+", "-"]
    assert [np.flatnonzero(one).tolist() for one in values.T] == [[*range(10, 20)], [*range(15, 30)]]
    with pytest.raises(InputError, match=r"line 1: strand is '\.'; expected"):
        PeaksSource(write_text("b.bed", "chr1\t0\t5\tp\t0\t."), stranded=True)
    with pytest.raises(InputError, match="has no column 'strand', which stranded needs; it has chromosome, start, end"):
        PeaksSource(write_text("c.bed", "chr1\t0\t5"), stranded=True)


def test_a_table_with_a_header(write_text):
    """One track for each cell and factor; a peak of one does not show in another."""
    path = write_text(
        "table.tsv",
        "chrom\tstart\tend\ttf\tcell\tsignalValue\tqValue\tsummit\tstrand",
        "chr1\t0\t10\tCTCF\tK562\t3\t1\t5\t+",
        "chr1\t5\t20\tMYC\tHepG2\t8\t1\t5\t-",
        "chr1\t50\t60\tCTCF\tHepG2\t2\t1\t5\t+",
        "chr1\t55\t70\tCTCF\tK562\t4\t1\t5\t-",
    )
    source = PeaksSource(path, track_columns=["cell", "tf"], value="signal")
    tracks = source.tracks()
    assert tracks["name"].values.tolist() == ["HepG2 CTCF", "HepG2 MYC", "K562 CTCF"]
    assert tracks["tf"].values.tolist() == ["CTCF", "MYC", "CTCF"]
    assert source.read(WHOLE).sum(axis=0).tolist() == [20, 120, 30 + 60]
    stranded = PeaksSource(path, track_columns=["cell", "tf"], stranded=True)
    assert strand_partners(stranded.tracks()).tolist() == [1, 0, 3, 2, 5, 4]
    assert stranded.read(WHOLE).sum(axis=0).tolist() == [10, 0, 0, 15, 10, 15]
    assert PeaksSource(path, track_columns="tf").tracks()["name"].values.tolist() == ["CTCF", "MYC"]
    named = write_text("named.bed", "#chrom start end state".replace(" ", "\t"), "chr1\t0\t5\tA", "chr1\t5\t9\tB")
    assert PeaksSource(named, track_columns="state").read(WHOLE).sum(axis=0).tolist() == [5, 4]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["chr1\t5\t5"], {}, "line 1: start 5 and end 5"),
        (["chr1\t5"], {}, "has 2 columns; expected chromosome, start and end"),
        (["name\tvalue\tother", "a\t1\t2"], {}, "expected columns chromosome, start, end"),
        (["chr\tstart\tend\tlength\tabs_summit", "chr1\t1\t5\t5\t3"], {}, "table of MACS, whose starts are 1-based"),
        (["chrom\tstart\tend", "chr1\t1\tx"], {}, "line 2: end is b'x'; expected a whole number"),
        (["chr1\t0\t5\tp\tinf"], {"value": "score"}, "line 1: value inf; expected a number"),
        (["chr1\t0\t5\tp\t1"], {"value": "signal"}, "no column 'signalValue', which value needs; it has .*score"),
        (["chr1\t0\t5\tp\t1"], {"track_columns": ["cell"]}, "no column 'cell', which track_columns needs"),
        (["chr1\t0\t5\tp\t1"], {"summit_window": 10}, "no column 'summit', which summit_window needs"),
        (["chr1\t0\t5\tp\t1"], {"summit_window": 0}, "summit_window is 0; expected"),
    ],
)
def test_bad_files_and_options(write_text, lines, options, message):
    with pytest.raises(InputError, match=message):
        PeaksSource(write_text("bad.bed", *lines), **options)


@pytest.mark.real_data
def test_all_peaks_of_a_hundred_experiments(shared):
    """Sums over bins are the bases that the union of an experiment's peaks covers, counted from the table."""
    import pandas as pd

    path = shared / "hg19_tracks/chrX_20_22/factornet_ENCODE_TF_conservative_narrowPeak.tsv.gz"
    source = PeaksSource(path, resolution=128, track_columns=["cell", "tf"])
    length, step = 20_000_000, 1 << 20
    total = sum(
        source.read(Interval("chr20", start, min(start + step, length))).sum(axis=0) for start in range(0, length, step)
    )
    table = pd.read_csv(path, sep="\t")
    table = table[(table["chrom"] == "chr20") & (table["start"] < length)]
    assert source.tracks().sizes["track"] == 109
    for number, (cell, factor) in enumerate(zip(*(source.tracks()[key].values for key in ("cell", "tf")), strict=True)):
        own = table[(table["cell"] == cell) & (table["tf"] == factor)]
        covered = np.zeros(length, bool)
        for start, end in zip(own["start"], own["end"], strict=True):
            covered[start:end] = True
        assert covered.sum() == total[number]
