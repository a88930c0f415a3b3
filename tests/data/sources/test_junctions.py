"""Splice junctions: STAR and BED12 files, usage of sites, PSI, pooled replicates."""

import gzip

import numpy as np
import pytest
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.fasta import Fasta
from ag_data.junction_counts import pool_replicates, psi3, psi5, site_usage
from ag_data.sources.junctions import JunctionsSource
from hypothesis import given, settings
from hypothesis import strategies as st

# chromosome, intron (0-based half-open), strand, unique, multi, overhang
INTRONS = [
    ("chr1", 100, 200, "+", 30, 2, 20),  # exon 1 to exon 2
    ("chr1", 250, 400, "+", 20, 0, 30),  # exon 2 to exon 3
    ("chr1", 100, 400, "+", 10, 1, 12),  # skips exon 2
    ("chr1", 120, 300, "-", 8, 0, 40),
    ("chr1", 500, 600, ".", 5, 0, 9),
    ("chr2", 10, 90, "-", 3, 0, 4),
]


def star_lines(introns=INTRONS):
    codes = {".": 0, "+": 1, "-": 2}
    return [f"{c}\t{s + 1}\t{e}\t{codes[x]}\t1\t1\t{u}\t{m}\t{o}" for c, s, e, x, u, m, o in introns]


def bed_lines(introns=INTRONS):
    lines = []
    for name, start, end, strand, reads, _, overhang in introns:
        place = f"{start - overhang}\t{end + overhang + 5}"
        blocks = f"2\t{overhang},{overhang + 5}\t0,{end - start + overhang}"
        lines.append(f"{name}\t{place}\tJUNC\t{reads}\t{strand}\t{place}\t255,0,0\t{blocks}")
    return lines


def write(path, lines):
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def rows(dataset):
    columns = (dataset[name].values.tolist() for name in ("start", "end", "strand"))
    return list(zip(*columns, dataset["count"].values[:, 0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "lines"), [("SJ.out.tab", star_lines), ("SJ.tab.gz", star_lines), ("j.bed", bed_lines)]
)
def test_introns_are_the_same_in_both_kinds_of_file(tmp_path, name, lines):
    source = registry().create("sources", "junctions", write(tmp_path / name, ["#c", *lines()[::-1]]))
    assert (source.layout, source.resolution) == ("junctions", 1)
    assert dict(source.chromosomes()) == {"chr1": None, "chr2": None}
    assert source.tracks()["strand"].values.tolist() == ["."]
    whole = source.read(Interval("chr1", 0, 1000))
    assert rows(whole) == [(100, 200, "+", 30), (100, 400, "+", 10), (120, 300, "-", 8), (250, 400, "+", 20)]
    assert whole["count"].dtype == np.float32
    assert whole["count"].dims == ("junction", "track")
    # By their start: no intron is lost or told twice between blocks.
    blocks = [source.read(Interval("chr1", at, at + 50)) for at in range(0, 1000, 50)]
    assert rows(xr.concat(blocks, "junction")) == rows(whole)
    assert rows(source.read(Interval("chr1", 100, 101))) == rows(whole)[:2]
    facts = source.facts()
    assert facts["left_out"]["no_strand"] == {"junctions": 1, "reads": 5}
    assert (facts["junctions"], facts["reads"], facts["factor"]) == (5, 71, 1)


def test_options(tmp_path):
    path = write(tmp_path / "SJ.out.tab", star_lines())
    everywhere = Interval("chr1", 0, 1000)
    assert [row[3] for row in rows(JunctionsSource(path, multi=True).read(everywhere))] == [32, 11, 8, 20]
    few = JunctionsSource(path, min_reads=9, min_overhang=15)
    assert rows(few.read(everywhere)) == [(100, 200, "+", 30), (250, 400, "+", 20)]
    assert few.facts()["left_out"]["few_reads"] == {"junctions": 3, "reads": 16}
    assert few.facts()["left_out"]["short_overhang"] == {"junctions": 1, "reads": 10}
    assert few.read(Interval("chr2", 0, 100)).sizes == {"junction": 0, "track": 1}
    kept = JunctionsSource(path, keep_unstranded=True, scale=0.5)
    assert rows(kept.read(Interval("chr1", 500, 501))) == [(500, 600, ".", 2.5)]
    cpm = JunctionsSource(path, scale="cpm")
    total = sum(row[3] for name in cpm.chromosomes() for row in rows(cpm.read(Interval(name, 0, 1000))))
    assert total == pytest.approx(1e6)
    twice = JunctionsSource(write(tmp_path / "twice.tab", star_lines() * 2))
    assert rows(twice.read(Interval("chr1", 250, 251))) == [(250, 400, "+", 40)]
    with pytest.raises(InputError, match="BED12, which does not tell multi-mapped"):
        JunctionsSource(write(tmp_path / "a.bed", bed_lines()), multi=True)
    with pytest.raises(InputError, match="none of 6 is kept"):
        JunctionsSource(path, min_reads=100)
    with pytest.raises(InputError, match="scale 'tpm'"):
        JunctionsSource(path, scale="tpm")
    with pytest.raises(InputError, match="layout 'signal'"):
        JunctionsSource(path, layout="signal")


def test_usage_worked_out_by_hand(tmp_path):
    path = write(tmp_path / "SJ.out.tab", star_lines())
    source = JunctionsSource(path, layout="usage", scale="cpm")
    assert source.tracks()["strand"].values.tolist() == ["+", "-"]
    values = source.read(Interval("chr1", 0, 700))
    assert values.dtype == np.float32
    found = {(int(p), "+-"[t]): float(values[p, t]) for p, t in zip(*np.nonzero(values), strict=True)}
    # '+': exon 1's donor 99 is in every read; exon 2 (200 to 250) is skipped by 10 reads; 400 accepts 20 + 10.
    wanted = {(99, "+"): 1, (200, "+"): 30 / 40, (249, "+"): 20 / 30, (400, "+"): 1}
    assert {place: value for place, value in found.items() if place[1] == "+"} == pytest.approx(wanted)
    # '-': the donor is on the right (300), the acceptor on the left (119); 8 reads are too few to tell.
    assert np.isnan([found[119, "-"], found[300, "-"]]).all()
    assert len(found) == 6
    told = JunctionsSource(path, layout="usage", min_coverage=8).read(Interval("chr1", 100, 350))
    assert told[19, 1] == told[200, 1] == 1
    assert (told[:, 0] != 0).sum() == 2
    assert "unspliced" in source.facts()["note"]


def test_shares_worked_out_by_hand():
    junctions = xr.Dataset(
        {"count": (("junction", "track"), [[30, 0], [10, 0], [20, 6], [8, 2], [2, 0], [5, 5]])},
        coords={
            "start": ("junction", [100, 100, 250, 120, 130, 9]),
            "end": ("junction", [200, 400, 400, 300, 300, 10]),
            "strand": ("junction", np.array(["+", "+", "+", "-", "-", "."], object)),
        },
    )
    nan = np.nan
    five = [[0.75, nan], [0.25, nan], [1, 1], [0.8, 1], [0.2, 0], [nan, nan]]
    three = [[1, nan], [1 / 3, 0], [2 / 3, 1], [1, 1], [1, nan], [nan, nan]]
    np.testing.assert_allclose(psi5(junctions), five)
    np.testing.assert_allclose(psi3(junctions), three)
    assert psi3(junctions).dims == ("junction", "track")
    sites = site_usage(junctions, min_coverage=0)
    kinds = list(zip(sites["position"].values, sites["strand"].values, sites["kind"].values, strict=True))
    assert kinds == [
        (99, "+", "donor"),
        (119, "-", "acceptor"),
        (129, "-", "acceptor"),
        (200, "+", "acceptor"),
        (249, "+", "donor"),
        (300, "-", "donor"),
        (400, "+", "acceptor"),
    ]
    # 129 lies in the intron [120, 300) of 8 and 2 reads.
    np.testing.assert_allclose(sites["coverage"], [[40, 0], [8, 2], [10, 2], [40, 0], [30, 6], [10, 2], [30, 6]])
    np.testing.assert_allclose(sites["usage"][2], [0.2, 0])
    np.testing.assert_allclose(sites["usage"][0], [1, nan])


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 20), st.sampled_from("+-"), st.integers(0, 9)), max_size=12)
)
@settings(max_examples=60, deadline=None)
def test_usage_by_definition_and_in_the_mirror(drawn):
    unique = {(start, start + size, strand): count for start, size, strand, count in drawn}

    def dataset(places):
        start, end, strand = zip(*places, strict=True) if places else ((), (), ())
        coords = {"start": ("junction", np.array(start, int)), "end": ("junction", np.array(end, int))}
        coords["strand"] = ("junction", np.array(strand, object))
        return xr.Dataset({"count": (("junction", "track"), np.array([*places.values()], float)[:, None])}, coords)

    def usage_of(places):
        sites = site_usage(dataset(places), min_coverage=0)
        columns = (sites[name].values.tolist() for name in ("position", "strand", "kind"))
        return dict(zip(zip(*columns, strict=True), sites["usage"].values[:, 0], strict=True))

    found = usage_of(unique)
    for (place, sign, kind), value in found.items():
        left = (kind == "donor") == (sign == "+")
        uses = sum(n for (a, b, s), n in unique.items() if s == sign and (a - 1 if left else b) == place)
        skips = sum(n for (a, b, s), n in unique.items() if s == sign and a <= place < b)
        np.testing.assert_allclose(value, uses / (uses + skips) if uses + skips else np.nan)
    turned = usage_of({(99 - b, 99 - a, "-+"[s == "-"]): n for (a, b, s), n in unique.items()})
    mirror = {(98 - place, "-+"[sign == "-"], kind): value for (place, sign, kind), value in turned.items()}
    assert mirror.keys() == found.keys()
    np.testing.assert_allclose([mirror[key] for key in found], [*found.values()])


def test_replicates_are_pooled():
    junctions = xr.Dataset(
        {"count": (("junction", "track"), np.array([[1, 2, 4], [8, 16, 32]], np.float32))},
        coords={
            "start": ("junction", [5, 9]),
            "end": ("junction", [15, 19]),
            "strand": ("junction", np.array(["+", "-"], object)),
            "track": [0, 1, 2],
            "name": ("track", np.array(["a", "b", "c"], object)),
            "biosample_name": ("track", np.array(["liver", "brain", "liver"], object)),
            "lab": ("track", np.array(["x", "x", "x"], object)),
        },
    )
    pooled = pool_replicates(junctions)
    np.testing.assert_array_equal(pooled["count"], [[5, 2], [40, 16]])
    assert pooled["biosample_name"].values.tolist() == ["liver", "brain"]
    assert pooled["replicates"].values.tolist() == [2, 1]
    assert pooled["lab"].values.tolist() == ["x", "x"]
    assert "name" not in pooled.coords
    assert pooled["strand"].values.tolist() == ["+", "-"]
    np.testing.assert_array_equal(pool_replicates(junctions, ["biosample_name", "name"])["count"], junctions["count"])
    with pytest.raises(InputError, match="no column tissue"):
        pool_replicates(junctions, "tissue")
    with pytest.raises(InputError, match="no strand along 'junction'"):
        psi5(junctions.drop_vars("strand"))


REFUSED = {
    "columns": (["chr1\t5\t9"], "line 1: .* expected 9 columns of STAR"),
    "mixed": ([*star_lines()[:2], *bed_lines()[:1]], "line 3: "),
    "strand": (["chr1\t5\t9\t3\t1\t1\t4\t0\t9"], "line 1: '3'"),
    "empty intron": (["chr1\t10\t9\t1\t1\t1\t4\t0\t9"], r"line 1: the intron \[9, 9\) is empty"),
    "negative": (["chr1\t5\t9\t1\t1\t1\t-4\t0\t9"], "number of reads is negative"),
    "number": (["chr1\t5\t9\t1\t1\t1\tmany\t0\t9"], "could not convert"),
    "blocks": (["chr1\t5\t50\tJ\t3\t+\t5\t50\t0\t3\t4,4,4\t0,10,41"], "line 1: too many values"),
    "gap": (["chr1\t5\t50\tJ\t3\t+\t5\t50\t0\t2\t4,4\t0,30"], "blocks do not lie at the ends"),
    "nothing": (["#only a comment"], "has no lines"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_refused(tmp_path, case):
    lines, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        JunctionsSource(write(tmp_path / "a.tab", lines))


def test_truncated_file(tmp_path):
    path = write(tmp_path / "a.tab.gz", star_lines() * 500)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="cannot be read after line"):
        JunctionsSource(path)


@pytest.mark.real_data
def test_real_junctions_have_the_right_bases(tmp_path, shared):
    """Introns of an RNA-seq sample start with GT and end with AG, on their own strand."""
    path = shared / "hg19_tracks/chr22/HCC1395_RNAseq_junctions.chr22.bed"
    for suffix in ("", ".fai", ".gzi"):
        (tmp_path / f"a.fa.gz{suffix}").write_bytes((shared / f"hg19_seq/chr22_partial.fa.gz{suffix}").read_bytes())
    genome, source = Fasta(tmp_path / "a.fa.gz"), JunctionsSource(path)
    table = source.read(Interval("22", 0, 51_304_566))
    assert (table.sizes["junction"], source.facts()["left_out"]["no_strand"]["junctions"]) == (4618, 0)
    seen = right = 0
    for start, end, strand, _ in rows(table):
        bases = genome.fetch(Interval("chr22", start, start + 2)) + genome.fetch(Interval("chr22", end - 2, end))
        if "N" not in bases:
            seen += 1
            right += bases == {"+": "GTAG", "-": "CTAC"}[strand]
    assert seen > 2000
    assert right / seen >= 0.97
    values = JunctionsSource(path, layout="usage").read(Interval("22", 20_000_000, 21_000_000))
    assert np.nanmax(values) == 1
    assert np.nanmean(values[values > 0]) > 0.7
