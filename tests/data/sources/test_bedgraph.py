import gc

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.sources import spool, text
from ag_data.sources.bedgraph import BedGraphSource
from ag_data.sources.bigwig import BigWigSource
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HEAD = ("# made by hand", "track type=bedGraph", "browser position chr1")


def lines_of(entries):
    return ["\t".join(map(str, entry)) for entry in entries]


@pytest.fixture
def entries():
    random = np.random.default_rng(5)
    found = []
    for chromosome in ("chr2", "chr10", "track_1"):
        edges = np.sort(random.choice(5000, 600, replace=False))
        found += [(chromosome, int(a), int(b), round(random.normal() * 64) / 64) for a, b in edges.reshape(-1, 2)]
    return found


@pytest.mark.parametrize("name", ["a.bedgraph", "a.bdg.gz", "a.bdg.bz2", "a.bdg.bgz", "unsorted", "blanks", "crlf"])
def test_every_form_is_the_same_as_a_bigwig(entries, write_text, write_bigwig, name, read_all):
    lines = lines_of(entries)
    if name == "unsorted":
        np.random.default_rng(1).shuffle(lines)
    if name == "blanks":
        lines = [line.replace("\t", "  ") for line in lines]
    if name == "crlf":
        lines = [line + "\r" for line in lines]
    comments = HEAD[:1] if name.endswith("bgz") else (*HEAD, "")
    path = write_text(name, *comments, *lines[:7], *comments[:1], *lines[7:])
    for options in ({"resolution": 7, "scale": -2.5}, {"gaps": "missing", "scale": "absolute"}):
        source = registry().create("sources", "bedgraph", path, **options)
        other = BigWigSource(write_bigwig(entries, dict.fromkeys(("chr2", "chr10", "track_1"), 5000)), **options)
        assert set(source.chromosomes().items()) == {("chr2", None), ("chr10", None), ("track_1", None)}
        assert source.facts()["tabix"] == name.endswith("bgz")
        for chromosome in source.chromosomes():
            expected = other.read(Interval(chromosome, 0, 5000))
            np.testing.assert_array_equal(read_all(source, chromosome, 5000, [700, 714, 3500]), expected)


def test_pieces_do_not_show(entries, write_text, monkeypatch, read_all):
    """Blocks of 100 bytes cut lines, and chromosomes come back again and again."""
    lines = [line for three in zip(*np.array_split(lines_of(entries), 3), strict=True) for line in three]
    path = write_text("mixed.bedgraph", *lines)
    whole = BedGraphSource(path)
    monkeypatch.setattr(text, "_SIZE", 100)
    monkeypatch.setattr(spool, "_PIECE", 3)
    pieces = BedGraphSource(path)
    for chromosome in ("chr2", "chr10", "track_1"):
        np.testing.assert_array_equal(read_all(pieces, chromosome, 5000), read_all(whole, chromosome, 5000))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=12), st.integers(0, 90))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_records_that_overlap_a_place(write_text, spans, place):
    """The index of what is spooled against a look at every record, with spans inside other spans."""
    import pandas as pd

    found = spool.Spool({"value": "<f8"})
    start, width = np.array(spans).T
    names = pd.Categorical(["chr1"] * len(spans))
    found.add(names, {"start": start, "end": start + width, "value": np.arange(len(spans)) * 1.0})
    rows = found.overlapping("chr1", place, place + 5)
    expected = [row for row in range(len(spans)) if start[row] < place + 5 and start[row] + width[row] > place]
    assert sorted(rows["value"].tolist()) == expected
    assert (np.diff(rows["start"]) >= 0).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t30\t30\t1", r"line 5: start 30 and end 30; expected 0 <= start < end"),
        ("chr1\t-1\t30\t1", r"line 5: start -1 and end 30"),
        ("chr1\t30\t40\tx", r"line 5: value is b'x'; expected a number"),
        ("chr1\t30\t40\tnan", r"line 5: value nan; expected a number, leave out"),
        ("chr1\t30\t40\t", r"line 5: value is b''; expected a number"),
        ("chr1\t3e1\t40\t1", r"line 5: start is b'3e1'; expected a whole number"),
        ("chr1\t30\t40", r"line 5 has 3 columns, the first record has 4"),
        ("chr1\t15\t25\t1", r"overlap: line 3, chr1:10-20, and line 5, chr1:15-25.*merge"),
        ("chr1\t0\t100\t1", r"overlap: line 3, chr1:10-20, and line 5, chr1:0-100"),
    ],
)
def test_messages_name_the_line(write_text, line, message):
    path = write_text("bad.bedgraph.gz", "# head", "", "chr1\t10\t20\t1", "chr2\t15\t25\t1", line, "chr1\t500\t501\t9")
    with pytest.raises(InputError, match=message):
        BedGraphSource(path)


def test_overlap_behind_an_index(write_text):
    source = BedGraphSource(write_text("a.bgz", "chr1\t10\t20\t1", "chr1\t15\t25\t1", "chr1\t30\t35\t2"))
    assert source.read(Interval("chr1", 26, 40)).sum() == 10
    with pytest.raises(InputError, match=r"overlap: chr1:10-20, and chr1:15-25"):
        source.read(Interval("chr1", 0, 40))


def test_damaged_files(write_text, tmp_path, write_bam):
    random = np.random.default_rng(0)
    path = write_text("a.bdg.gz", *(f"chr1\t{i}\t{i + 1}\t{random.normal()}" for i in range(2000)))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"a\.bdg\.gz is damaged or truncated .* again"):
        BedGraphSource(path)
    path = write_text("a.bdg.bgz", *(f"chr1\t{i}\t{i + 1}\t1" for i in range(2000)))
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(InputError, match="truncated"):
        BedGraphSource(path)
    with pytest.raises(InputError, match="no records"):
        BedGraphSource(write_text("empty.bdg", *HEAD))
    with pytest.raises(InputError, match="has 3 columns; expected value in column 4"):
        BedGraphSource(write_text("three.bdg", "chr1\t0\t5"))
    with pytest.raises(InputError):
        BedGraphSource(write_bam([(0, "10M", 0)]))


def test_a_wrong_index(write_text):
    path = write_text("a.bgz", "chr1\t10\t20\t1")
    path.with_name("a.bgz.tbi").write_text("no index")
    with pytest.raises(InputError, match="is no index of"):
        BedGraphSource(path)


def test_temporary_files_go_with_the_source(write_text, monkeypatch, tmp_path):
    monkeypatch.setattr(spool.tempfile, "tempdir", str(tmp_path))
    source = BedGraphSource(write_text("a.bedgraph", "chr1\t10\t20\t1"))
    values = source.read(Interval("chr1", 0, 30))
    assert len(list(tmp_path.glob("ag-spool-*/*"))) == 5
    del source
    gc.collect()
    assert not list(tmp_path.glob("ag-spool-*"))
    assert values.sum() == 10


def test_files_that_become_large_are_not_held_in_memory(write_text, monkeypatch):
    """What stays of a file of 200,000 entries is less than its columns."""
    import tracemalloc

    path = write_text("a.bedgraph", *(f"chr1\t{2 * i}\t{2 * i + 1}\t1" for i in range(200_000)))
    monkeypatch.setattr(text, "_SIZE", 1 << 14)
    tracemalloc.start()
    source = BedGraphSource(path)
    assert source.read(Interval("chr1", 1000, 1100)).sum() == 50
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200_000 * 8
