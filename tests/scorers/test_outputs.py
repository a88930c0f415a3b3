import csv
import dataclasses
import gzip
import itertools
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pysam
import pysam.bcftools
import pytest
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_data.variants import Status, read_variants
from ag_scorers import outputs, parquet_folder
from ag_scorers.annotated_vcf import INFO
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.gene_mask import GeneMaskLFCScorer
from ag_scorers.outputs import FOLDERS, SUFFIXES, open_writer
from ag_scorers.results import Result, ScorerResult
from ag_scorers.scored_files import sample_rows
from hypothesis import given, settings
from hypothesis import strategies as st

ATAC, RNA = CenterMaskScorer("atac"), GeneMaskLFCScorer("rna_seq")
ATAC_TRACKS = track_table(
    {"name": ["liver; adult", "lung"], "strand": [".", "."], "biosample_name": ['5" liver', "a\tb"]}
)
RNA_TRACKS = track_table({"name": ["a", "a"], "strand": ["+", "-"], "biosample_name": ["liver", "é"]})
TEMPLATES = [
    ScorerResult(key, scorer, np.zeros((0, tracks.sizes["track"]), np.float32), {}, tracks)
    for key, scorer, tracks in (("ATAC", ATAC, ATAC_TRACKS), ("RNA_SEQ", RNA, RNA_TRACKS))
]
GENES = {"gene_id": np.array(["G=1", "G2"], object), "gene_strand": np.array(["+", "-"], object)}

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
HEADER = """##fileformat=VCFv4.3
##FILTER=<ID=PASS,Description="All filters passed">
##contig=<ID=chr1,length=1000>
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth, é">
##INFO=<ID=DB,Number=0,Type=Flag,Description="Known">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##other=kept
"""
BODY = [
    "chr1\t10\trs1\tA\tC,<DEL>,*\t3.10\tPASS\tDP=3;DB\tGT\t0/1\n",
    "chr1\t12\t.\ta\t.\t.\t.\t.\tGT\t./.\n",
    "chr1\t12\t.\tA\tT\t.\t.\tDP=7\tGT\t0|1\n",
    "HLA:1\t5\t.\tG\tg,A\t.\t.\t.\tGT\t1/2\n",
]


@pytest.fixture(scope="module", autouse=True)
def silence():
    """htslib complains about the input's undeclared contig, which is what is tested."""
    before = pysam.set_verbosity(0)
    yield
    pysam.set_verbosity(before)


@pytest.fixture
def write_vcf(tmp_path):
    def write(body=BODY, header=HEADER + COLUMNS, name="calls.vcf"):
        path = tmp_path / name
        data = (header + "".join(body)).encode()
        if name.endswith(".vcf.gz"):
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(data)
        else:
            path.write_bytes(gzip.compress(data) if name.endswith(".gzip") else data)
        return path

    return write


def score(call):
    if call.status is not Status.SCORED:
        return Result(call)
    atac = np.array([[0.123456789, -1234.5678]], np.float32)
    rna = np.array([[1.5e-7, np.nan], [np.nan, np.nan]], np.float32)
    return Result(
        call,
        (ScorerResult("ATAC", ATAC, atac, {}, ATAC_TRACKS), ScorerResult("RNA_SEQ", RNA, rna, GENES, RNA_TRACKS)),
    )


def named(path, suffix):
    return path / ("a.{scorer}.h5ad" if suffix == ".h5ad" else f"a{suffix}")


def save(path, source, results=None, **options):
    results = [score(call) for call in read_variants(source)] if results is None else results
    with open_writer(path, TEMPLATES, source, **options) as writer:
        for result in results:
            writer.write(result)
    return path


def lines_of(path):
    with pysam.BGZFile(str(path)) if path.suffix == ".gz" else path.open("rb") as file:
        return file.read().decode().splitlines()


def ag(allele):
    return f"{allele}|.|ATAC|atac|-1234.6|.,{allele}|G%3D1|RNA_SEQ|rna_seq|1.5e-07|."


def test_vcf_worked_example(tmp_path, write_vcf):
    facts = {"version": "0.1.0", "model": "mini\nsha256:ab", "command": "agenome score calls.vcf"}
    found = lines_of(save(tmp_path / "new" / "out.vcf", write_vcf(), provenance=facts))
    assert found[:7] == HEADER.splitlines()
    assert found[7:] == [
        "##contig=<ID=HLA:1>",
        *INFO.values(),
        "##AGversion=0.1.0",
        "##AGmodel=mini sha256:ab",
        "##AGcommand=agenome score calls.vcf",
        COLUMNS.strip(),
        f"chr1\t10\trs1\tA\tC,<DEL>,*\t3.10\tPASS\tDP=3;DB;AG={ag('C')};AG_STATUS=scored,symbolic,star\tGT\t0/1",
        "chr1\t12\t.\ta\t.\t.\t.\tAG_STATUS=.\tGT\t./.",
        f"chr1\t12\t.\tA\tT\t.\t.\tDP=7;AG={ag('T')};AG_STATUS=scored\tGT\t0|1",
        f"HLA:1\t5\t.\tG\tg,A\t.\t.\tAG={ag('g')},{ag('A')};AG_STATUS=scored,scored\tGT\t1/2",
    ]


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
@pytest.mark.parametrize("source", ["calls.vcf", "calls.vcf.gz", "calls.gzip"])
def test_vcf_is_read_without_complaint(tmp_path, write_vcf, capfd, name, source):
    path = save(tmp_path / name, write_vcf(name=source))
    pysam.set_verbosity(3)
    with pysam.VariantFile(path) as file:
        records = [(record.info.get("AG_STATUS"), len(record.info.get("AG", ()))) for record in file]
    assert records == [
        (("scored", "symbolic", "star"), 2),
        ((".",), 0),
        (("scored",), 2),
        (("scored", "scored"), 4),
    ]
    assert len(pysam.bcftools.view("-H", str(path)).splitlines()) == 4
    split = pysam.bcftools.norm("-m-any", str(path)).splitlines()[-7:]
    statuses = [line.rpartition("AG_STATUS=")[2].split("\t")[0] for line in split]
    assert statuses == ["scored", "symbolic", "star", ".", "scored", "scored", "scored"]
    pysam.set_verbosity(0)
    assert "[W" not in (text := capfd.readouterr().err), text
    assert "[E" not in text


def test_bgzip_is_indexed_if_sorted(tmp_path, write_vcf):
    path = save(tmp_path / "out.vcf.gz", write_vcf())
    with pysam.VariantFile(path) as file:
        assert [record.pos for record in file.fetch("HLA:1")] == [5]
    assert sorted(os.listdir(tmp_path)) == ["calls.vcf", "out.vcf.gz", "out.vcf.gz.tbi"]
    save(path, write_vcf([*BODY, BODY[3].replace("\t5\t", f"\t{(1 << 29) + 1}\t")]))
    assert sorted(os.listdir(tmp_path)) == ["calls.vcf", "out.vcf.gz", "out.vcf.gz.csi"]
    save(path, write_vcf(BODY[::-1] + BODY[3:]))
    assert sorted(os.listdir(tmp_path)) == ["calls.vcf", "out.vcf.gz"]


def test_bcf_and_line_ends(tmp_path, write_vcf):
    plain = write_vcf(BODY[:3])
    bcf, windows = tmp_path / "calls.bcf", tmp_path / "windows.vcf"
    pysam.bcftools.view("-Ob", "-o", str(bcf), str(plain), catch_stdout=False)
    windows.write_bytes(plain.read_bytes().replace(b"\n", b"\r\n"))
    expected = lines_of(save(tmp_path / "out.vcf", plain))
    assert lines_of(save(tmp_path / "out.vcf", windows)) == expected
    found = lines_of(save(tmp_path / "out.vcf", bcf))
    assert [line for line in found if line[0] != "#"] == [
        line.replace("3.10", "3.1") for line in expected if line[0] != "#"
    ]


def test_input_that_has_the_fields(tmp_path, write_vcf):
    once = save(tmp_path / "once.vcf", write_vcf(), provenance={"version": "1"})
    twice = save(tmp_path / "twice.vcf", once, provenance={"version": "2"})
    assert lines_of(twice) == [line.replace("version=1", "version=2") for line in lines_of(once)]
    save(once, once)  # in place; what made the earlier scores did not make these
    assert lines_of(once) == [line for line in lines_of(twice) if line != "##AGversion=2"]

    other = '##INFO=<ID=AG,Number=1,Type=Float,Description="Age">\n'
    for path in (
        write_vcf([line.replace("DP=", "AG=1;DP=") for line in BODY], HEADER + other + COLUMNS, "declared.vcf"),
        write_vcf([line.replace("DP=", "AG=1;DP=") for line in BODY], name="undeclared.vcf"),
    ):
        with pytest.raises(InputError, match=r"already has INFO AG with another meaning; overwrite=True"):
            save(tmp_path / "refused.vcf", path)
        assert not (tmp_path / "refused.vcf").exists()
        assert lines_of(save(tmp_path / "out.vcf", path, overwrite=True))[-4:] == lines_of(twice)[-4:]


def test_parquet(tmp_path, write_vcf, monkeypatch):
    monkeypatch.setattr(outputs, "ROWS", 4)
    path = save(tmp_path / "out.parquet", write_vcf(), provenance={"version": "1"})
    table = pq.read_table(path)
    assert table["score"].type == "float"
    assert str(table["track"].type).startswith("dictionary")
    assert table["status"].to_pylist() == ["scored"] * 4 + ["symbolic", "star", "missing_alt"] + ["scored"] * 12
    assert table["score"].to_pylist()[:5] == [*np.float32([0.123456789, -1234.5678, 1.5e-7]), None, None]
    assert json.loads(table.schema.metadata[b"agenome"]) == {"version": "1"}
    file = pq.ParquetFile(path)
    assert file.num_row_groups > 3
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz"])
def test_tsv(tmp_path, write_vcf, name):
    path = save(tmp_path / name, write_vcf(), provenance={"version": "1"}, top=2)
    assert json.loads((tmp_path / f"{name}.json").read_text()) == {"version": "1", "top": "2"}
    assert len(pd.read_csv(path, sep="\t", quoting=csv.QUOTE_NONE)) == len(lines_of(path)) - 1
    lines = lines_of(save(path, write_vcf()))
    assert (tmp_path / f"{name}.json").read_text() == "{}\n"  # of an earlier run nothing stays
    assert lines[0].split("\t")[:5] == ["variant", "chromosome", "position", "reference", "alternate"]
    assert len(lines) == 20
    first = dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))
    assert (first["variant"], first["gene"], first["track"]) == ("chr1:10:A>C", "", "liver; adult")
    assert (first["biosample_name"], first["score"]) == ('5" liver', "0.12345679")
    assert {len(line.split("\t")) for line in lines} == {len(lines[0].split("\t"))}


def test_vcf_track_sets_and_quantiles(tmp_path, write_vcf):
    """RAW and QUANTILE are each the farthest from zero over the set; a set without a number has no entry."""
    source = write_vcf(["chr1\t10\t.\tA\tC\t.\t.\t.\tGT\t0/1\n"])
    (call,) = read_variants(source)
    rna = ScorerResult(
        "RNA SEQ",
        RNA,
        np.array([[1, -2], [0.5, np.nan], [3, np.nan]], np.float32),
        {"gene_id": np.array(["G1", "G,2", "G1"], object)},
        RNA_TRACKS,
        quantiles=np.array([[-0.5, 0.25], [0.999991, np.nan], [0.125, np.nan]], np.float32),
    )
    templates = [dataclasses.replace(rna, values=rna.values[:0], quantiles=None, table={})]
    for sets, expected in (
        (None, ["C|G1|RNA%20SEQ|rna_seq|3|-0.5", "C|G%2C2|RNA%20SEQ|rna_seq|0.5|0.99999"]),
        (
            {"the liver": "liver", "minus": "strand=-"},
            [
                "C|G1|RNA%20SEQ|the%20liver|3|-0.5",
                "C|G1|RNA%20SEQ|minus|-2|0.25",
                "C|G%2C2|RNA%20SEQ|the%20liver|0.5|0.99999",
            ],
        ),
    ):
        with open_writer(tmp_path / "out.vcf.gz", templates, source, track_sets=sets) as writer:
            writer.write(Result(call, (rna,)))
        with pysam.VariantFile(tmp_path / "out.vcf.gz") as file:
            (record,) = file
        assert list(record.info["AG"]) == expected
        (line,) = pysam.bcftools.query("-f", "%INFO/AG\n", str(tmp_path / "out.vcf.gz")).splitlines()
        assert line == ",".join(expected)


MADE_BY = {"model_digest": "f0", "requested": '["a"]', "reference": "{}"}


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_entries_are_read_back_allele_by_allele(tmp_path, write_vcf, name):
    path = save(tmp_path / name, write_vcf(), provenance=MADE_BY)
    rows = sample_rows(path, 100, 0).rows
    assert [(row.place, row.status, row.values["scorer"], row.values.get("gene")) for row in rows] == [
        ((0, "C"), "scored", "ATAC", None),
        ((0, "C"), "scored", "RNA_SEQ", "G=1"),
        ((0, "<DEL>"), "symbolic", None, None),
        ((0, "*"), "star", None, None),
        ((2, "T"), "scored", "ATAC", None),
        ((2, "T"), "scored", "RNA_SEQ", "G=1"),
        ((3, "g"), "scored", "ATAC", None),
        ((3, "g"), "scored", "RNA_SEQ", "G=1"),
        ((3, "A"), "scored", "ATAC", None),
        ((3, "A"), "scored", "RNA_SEQ", "G=1"),
    ]
    assert [row.values["score"] for row in rows[:2]] == [-1234.6, 1.5e-7]
    assert (rows[-1].chromosome, rows[-1].position, rows[-1].reference) == ("HLA:1", 5, "G")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_of_no_alleles_there_are_no_rows(tmp_path, write_vcf, suffix):
    save(named(tmp_path, suffix), write_vcf([]), provenance=MADE_BY)
    for path in tmp_path.glob(f"a*{suffix}"):
        assert sample_rows(path, 100, 0).rows == []


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("after", [0, 2, 6])
def test_nothing_is_left_behind(tmp_path, write_vcf, suffix, error, after, monkeypatch):
    for module in (outputs, parquet_folder):
        monkeypatch.setattr(module, "ROWS", 2)
    source, folder = write_vcf(), tmp_path / "out"
    folder.mkdir()
    places = [folder / f"a.{key}.h5ad" for key in ("ATAC", "RNA_SEQ")] if suffix == ".h5ad" else [folder / f"a{suffix}"]
    for place in places:
        if suffix in FOLDERS:
            save(place, source)
        else:
            place.write_text("older")
    before = contents(folder)

    def results():
        yield from itertools.islice(map(score, read_variants(source)), after)
        raise error

    with pytest.raises(error):
        save(named(folder, suffix), source, results())
    assert contents(folder) == before


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_second_run_replaces_the_first_and_is_the_same(tmp_path, write_vcf, suffix):
    source, folder = write_vcf(), tmp_path / "out"
    folder.mkdir()
    save(named(folder, suffix), source, columns=["quantile"], provenance={"model": "m"})
    first = contents(folder)
    assert first
    save(named(folder, suffix), source, columns=["quantile"], provenance={"model": "m"})
    assert contents(folder) == first
    assert all(Path(path).suffix for path in os.listdir(folder))  # no scratch folder stays


def test_refusals(tmp_path, write_vcf):
    source = write_vcf()
    results = [score(call) for call in read_variants(source)]
    for name in ("out.csv", "out", "out.vcf.bz2"):
        with pytest.raises(
            InputError,
            match=r"no known suffix; expected .*\.parquet, \.parquet\.d, \.tsv, .* \.vcf\.gz, \.zarr, \.h5ad",
        ):
            save(tmp_path / name, source, results)
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        save(tmp_path / "folder.tsv", source, results)
    with pytest.raises(InputError, match="no VCF to annotate"), open_writer(tmp_path / "out.vcf", TEMPLATES):
        pass
    with pytest.raises(InputError, match="does not exist"):
        save(tmp_path / "out.vcf", tmp_path / "none.vcf", results)
    with pytest.raises(InputError, match="expected a line that begins with #CHROM"):
        save(tmp_path / "out.vcf", write_vcf(BODY, HEADER, "headless.vcf"), results)
    with pytest.raises(InputError, match="expected 8 columns"):
        save(tmp_path / "out.vcf", write_vcf(["chr1 10\n"], name="spaces.vcf"), results)
    with pytest.raises(ValueError, match=r"\(0, 0\) after \(0, 1\)"):
        save(tmp_path / "out.tsv", source, results[1::-1])
    with pytest.raises(ValueError, match=r"no results from record 3 on"):
        save(tmp_path / "out.vcf", source, results[:5])
    for wrong in (results[1:], results[:2] + results[3:], results[:4] + results[5:]):
        with pytest.raises(ValueError, match=r"results are of .* but its next record has"):
            save(tmp_path / "out.vcf", source, wrong)
    with pytest.raises(ValueError, match="ended"):
        save(tmp_path / "out.vcf", write_vcf(BODY[:1], name="short.vcf"), results)
    assert not [name for name in os.listdir(tmp_path) if name.startswith((".", "out"))]


ALTS = st.lists(
    st.sampled_from(["C", "acgt", "*", "<DEL>", "N[chr1:3[", "R", "TT"]), min_size=1, max_size=4, unique=True
)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.one_of(st.just(["."]), ALTS), max_size=6), st.integers(0, 2**31))
def test_every_allele_is_in_every_format_once(records, seed):
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "calls.vcf")
        body = [f"chr1\t7\t.\tA\t{','.join(alts)}\t.\t.\t.\tGT\t0/0\n" for alts in records]
        source.write_text(HEADER + COLUMNS + "".join(body))
        results = [score(call) for call in read_variants(source)]
        results = [result if random.random() < 0.7 else Result(result.call) for result in results]
        expected = {(r.call.record, r.call.alt): r.call.status.value for r in results}
        assert len(expected) == sum(map(len, records))

        for suffix in (".parquet", ".tsv", ".tsv.gz"):
            path = save(Path(folder, f"out{suffix}"), source, results)
            if suffix == ".parquet":
                rows = pq.read_table(path).select(["record", "alt", "status"]).to_pylist()
            else:
                header, *lines = (line.split("\t") for line in lines_of(path))
                rows = [dict(zip(header, line, strict=True)) for line in lines]
            found = [(int(row["record"]), int(row["alt"]), row["status"]) for row in rows]
            assert list(dict.fromkeys(found)) == [(*place, status) for place, status in expected.items()]
        for suffix in (".vcf", ".vcf.gz"):
            with pysam.VariantFile(save(Path(folder, f"out{suffix}"), source, results)) as file:
                found = [record.info["AG_STATUS"] for record in file]
            assert [len(statuses) for statuses in found] == list(map(len, records))
            flat = [status for statuses in found for status in statuses]
            assert flat == [status.replace("missing_alt", ".") for status in expected.values()]
