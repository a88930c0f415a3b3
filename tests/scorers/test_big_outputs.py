"""Parquet folders, zarr stores and AnnData files: the same scores as in one table, however the stream is cut."""

import dataclasses
import json
import os

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import xarray as xr
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_core.schema import track_table
from ag_data.variants import Call, Status
from ag_data.vcf.text import open_lines
from ag_scorers import anndata_scores, parquet_folder, zarr_scores
from ag_scorers.anndata_scores import to_anndata
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.dataset import to_datatree
from ag_scorers.expected_rows import ExpectedRows, strongest
from ag_scorers.outputs import SUFFIXES, open_writer
from ag_scorers.results import Result, ScorerResult
from ag_scorers.sampled_rows import Kind
from ag_scorers.scored_files import READERS, sample_rows
from ag_scorers.tidy import Tidy

HIVE = ds.partitioning(pa.schema([("chromosome", pa.string())]), flavor="hive")
ATAC, RNA = CenterMaskScorer("atac"), CenterMaskScorer("rna_seq")
TABLES = {
    "ATAC": track_table({"name": ["liver", "lung", "é"], "strand": [".", ".", "."], "kept": [True, False, True]}),
    "RNA": track_table(
        {"name": ["a", "a"], "strand": ["+", "-"], "Assay title": ["x", None], "gene": ["p", "q"], "mean": [1.5, 2.0]}
    ),
}
SCORERS = {"ATAC": ATAC, "RNA": RNA}
TEMPLATES = [
    ScorerResult(key, SCORERS[key], np.zeros((0, table.sizes["track"]), np.float32), {}, table)
    for key, table in TABLES.items()
]
CONTIGS = ["chr1", "1", "HLA:A*01/02", "chr é"]
COLUMNS = ("quantile", "alt")


def part(key, random, items, *, table=None, calibrated=True):
    values = random.normal(size=(items, TABLES[key].sizes["track"])).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    more = {"quantiles": np.tanh(values), "alt": values + 1} if calibrated else {}
    return ScorerResult(key, SCORERS[key], values, table or {}, TABLES[key], **more)


def stream(count=60, seed=0):
    """Alleles in no order of chromosomes; some without scores, without items, or without a calibration."""
    random = np.random.default_rng(seed)
    for record in range(count):
        contig = CONTIGS[random.integers(len(CONTIGS))]
        variant = Variant("chr1", record + 1, "A", "C")
        call = Call(record, 0, contig, record + 1, "A", "C", "", Status.SCORED, variant)
        if random.random() < 0.2:
            yield Result(dataclasses.replace(call, status=Status.OUTSIDE, detail="beyond, far"))
            continue
        genes = int(random.integers(0, 4))
        table = {
            "gene_id": np.array([f"G{random.integers(5)}" for _ in range(genes)], object),
            "gene_strand": np.array(["+", "-", ".", "+"][:genes], object),
        }
        if record > count // 2:  # columns that appear late
            table |= {"junction_start": np.arange(genes), "motif": np.array(["SP1", None, "x", ""][:genes], object)}
        atac = part("ATAC", random, 1, calibrated=record > count // 3)
        yield Result(call, (atac, part("RNA", random, genes, table=table)))


RESULTS = list(stream())


def save(path, results=RESULTS, templates=TEMPLATES, **options):
    with open_writer(path, templates, **{"provenance": {"model": "mini"}, "columns": COLUMNS, **options}) as writer:
        for result in results:
            writer.write(result)
    return path


@pytest.fixture
def small_pieces(monkeypatch):
    """So that 60 alleles go through everything that a million would."""
    for module, name, value in (
        (parquet_folder, "ROWS", 10),
        (parquet_folder, "MOST_ROWS", 30),
        (parquet_folder, "OPEN_FILES", 2),
        (zarr_scores, "ENTRIES", 8),
        (anndata_scores, "_ROWS", 8),
    ):
        monkeypatch.setattr(module, name, value)
    for module in (zarr_scores, anndata_scores):
        monkeypatch.setattr(module, "chunk_and_shard", lambda shape, itemsize: ((8, *shape[1:]), None))


@pytest.mark.usefixtures("small_pieces")
def test_parquet_folder_has_the_rows_of_one_table(tmp_path):
    path = save(tmp_path / "scores.parquet.d")
    expected = Tidy(TEMPLATES, COLUMNS).table(RESULTS).to_pylist()
    dataset = ds.dataset(path, partitioning=HIVE)
    found = dataset.to_table().select(Tidy(TEMPLATES, COLUMNS).schema.names).to_pylist()
    assert sorted(map(str, found)) == sorted(map(str, expected))
    for contig in CONTIGS:
        mine = dataset.to_table(filter=pc.field("chromosome") == contig).to_pylist()
        assert [row["record"] for row in mine] == [row["record"] for row in expected if row["chromosome"] == contig]
    assert sorted(os.listdir(path)) == sorted(
        [
            *("chromosome=chr1", "chromosome=1"),
            *("chromosome=HLA%3AA%2A01%2F02", "chromosome=chr%20%C3%A9"),
        ]
    )
    assert len(list(path.rglob("part-00001.parquet"))) > 0  # only two files were open at a time
    for file in path.rglob("*"):
        assert file.is_dir() or json.loads(pq.read_schema(file).metadata[b"agenome"]) == {"model": "mini"}
    empty = ds.dataset(save(tmp_path / "empty.parquet.d", []), partitioning=HIVE).to_table()
    assert empty.num_rows == 0
    assert set(empty.column_names) == set(dataset.schema.names)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("count", [0, 1, 60])
def test_zarr_is_the_tree(tmp_path, count):
    path = save(tmp_path / "scores.zarr", RESULTS[:count])
    with xr.open_datatree(path, engine="zarr") as found:
        expected = to_datatree(RESULTS[:count], {"model": "mini", "content": zarr_scores.CONTENT})
        xr.testing.assert_equal(found.load(), expected)
        assert found.attrs == expected.attrs
        for key, child in expected.children.items():
            assert set(found[key].coords) == set(child.coords)
            assert found[key].attrs == child.attrs
    if count == 60:
        assert {"quantile", "alt", "score"} == set(expected["RNA"].data_vars)
        assert expected["RNA/junction_start"].dtype == float  # missing in half of the results
        assert "track_gene" in expected["RNA"].coords
        assert "Assay_title" in expected["RNA"].coords


@pytest.mark.usefixtures("small_pieces")
def test_anndata_file_is_what_is_made_in_memory(tmp_path):
    save(tmp_path / "scores.{scorer}.h5ad")
    made = to_anndata(RESULTS, {"model": "mini"})
    assert sorted(os.listdir(tmp_path)) == ["scores.ATAC.h5ad", "scores.RNA.h5ad"]
    for key, expected in made.items():
        found = anndata.read_h5ad(tmp_path / f"scores.{key}.h5ad")
        np.testing.assert_array_equal(found.X, expected.X)
        assert found.X.dtype == np.float32
        assert set(found.layers) == set(expected.layers) == {"quantiles", "alt"}
        for name in found.layers:
            np.testing.assert_array_equal(found.layers[name], expected.layers[name])
        for one, other in (
            (found.obs, expected.obs),
            (found.var, expected.var),
            (found.uns["calls"], expected.uns["calls"]),
        ):
            # anndata reads text back in pandas' own type of text.
            pd.testing.assert_frame_equal(
                one.astype(object), other.astype(object), check_index_type=False, check_dtype=False
            )
        assert found.uns["variant_scorer"] == SCORERS[key].name
        assert found.uns["provenance"] == {"model": "mini"}
        assert found.uns["calls"]["status"].tolist() == [result.call.status.value for result in RESULTS]

    # Each row is one item of one allele, with its numbers.
    rna, row = made["RNA"], 0
    assert list(rna.obs.columns[-5:]) == ["alt", "gene_id", "strand", "junction_Start", "item"]
    for result in RESULTS:
        for scores in result.scores[1:]:
            for item, gene in enumerate(scores.table["gene_id"]):
                assert (rna.obs["record"].iloc[row], rna.obs["gene_id"].iloc[row]) == (result.call.record, gene)
                np.testing.assert_array_equal(rna.X[row], scores.values[item])
                row += 1
    assert row == rna.n_obs


def test_anndata_of_one_scorer(tmp_path):
    only = [dataclasses.replace(result, scores=result.scores[:1]) for result in RESULTS]
    path = save(tmp_path / "a.h5ad", only, TEMPLATES[:1])
    assert anndata.read_h5ad(path).shape == to_anndata(only)["ATAC"].shape
    path = save(tmp_path / "none.h5ad", [], TEMPLATES[:1], columns=())
    assert anndata.read_h5ad(path).shape == (0, 3)
    with pytest.raises(
        InputError, match=r"holds one scorer, and the run has 2 \(ATAC, RNA\); write .*b\.\{scorer\}\.h5ad"
    ):
        save(tmp_path / "b.h5ad")
    twins = [dataclasses.replace(TEMPLATES[0], key=key) for key in ("a:b", "a/b")]
    with pytest.raises(InputError, match="scorers a:b, a/b would share a file"):
        save(tmp_path / "{scorer}.h5ad", [], twins)


def test_anndata_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(InputError, match=r'need anndata: pip install "ag-scorers\[anndata\]"'):
        save(tmp_path / "{scorer}.h5ad")


def test_what_is_not_ours_stays(tmp_path):
    for suffix in (".zarr", ".parquet.d"):
        path = tmp_path / f"mine{suffix}"
        path.mkdir()
        save(path)  # an empty folder may be filled
        save(path)
        (path / "zarr.json").write_text("{}")
        with pytest.raises(InputError, match="was not made by `agenome score`; choose another name"):
            save(path)
        assert (path / "zarr.json").read_text() == "{}"
    (tmp_path / "file.zarr").write_text("text")
    with pytest.raises(InputError, match="it is there already"):
        save(tmp_path / "file.zarr")


@pytest.mark.parametrize("name", ["a.zarr", "{scorer}.h5ad"])
@pytest.mark.parametrize("options", [{"top": 1}, {"track_sets": {"liver": "liver"}}])
def test_arrays_refuse_a_selection_of_rows(tmp_path, name, options):
    with pytest.raises(InputError, match=r"an array has all items and tracks.* write \.parquet, \.parquet\.d, \.tsv"):
        save(tmp_path / name, **options)


def test_kept_tracks_in_every_format(tmp_path):
    options = {"keep_tracks": "name=liver | name=a & strand=+"}
    rows = pq.read_table(save(tmp_path / "a.parquet", **options)).to_pandas()
    assert set(rows["track"].dropna()) == {"liver", "a"}
    assert set(rows["track_strand"].dropna()) == {".", "+"}
    save(tmp_path / "{scorer}.h5ad", **options)
    assert anndata.read_h5ad(tmp_path / "RNA.h5ad").var["name"].tolist() == ["a"]
    with xr.open_datatree(save(tmp_path / "a.zarr", **options), engine="zarr") as tree:
        assert tree["ATAC/score"].sizes["track"] == 1
        whole = to_datatree(RESULTS)["RNA/score"]
        np.testing.assert_array_equal(tree["RNA/score"], whole[:, :1])
    with pytest.raises(InputError, match="no track that was scored fits 'kidney'"):
        save(tmp_path / "b.zarr", keep_tracks="kidney")


MADE_BY = {"model_digest": "f0", "requested": '["a"]', "reference": "{}", "note": "two  spaces"}
OF_ALLELE = ("variant", "chromosome", "position", "reference", "alternate", "status")
OF_SCORE = ("scorer", "gene", "junction_start", "track", "track_strand")


def told(row, *numbers):
    """What a row says, in whatever types its format has."""
    values = [row.get(name) for name in (*OF_ALLELE, *OF_SCORE)]
    item = {name: value for name, value in json.loads(row.get("item") or "{}").items() if value}
    found = ["" if value is None or value != value else value for value in values]
    return (*map(str, map(lambda v: int(v) if isinstance(v, float) else v, found)), str(item), *map(row.get, numbers))


def rows_of(path, made_by=MADE_BY):
    sample = sample_rows(path, 10**6, 0)
    assert sample.made_by == made_by
    return sample


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if "vcf" not in suffix])
def test_rows_are_read_back_as_they_were_written(tmp_path, suffix):
    numbers = ("score", "quantile", "alt_value")
    name = "a.{scorer}.h5ad" if suffix == ".h5ad" else f"a{suffix}"
    save(tmp_path / name, provenance=MADE_BY)
    expected = [told(row, *numbers) for row in Tidy(TEMPLATES, COLUMNS).table(RESULTS).to_pylist() if row["scorer"]]
    files = [path for path in tmp_path.iterdir() if path.suffix != ".json"]
    content = {"content": zarr_scores.CONTENT, "coordinates": "variant detail"} if suffix == ".zarr" else {}
    samples = [rows_of(path, MADE_BY | content) for path in files]
    rows = [row for sample in samples for row in sample.rows]
    found = [told(row.values, *numbers) for row in rows if row.values.get("scorer")]
    if samples[0].kind is Kind.CELL:  # arrays have NaN where a table has null or no row
        expected = [row for row in expected if row[-3] is not None]
        found = [tuple(None if value != value else value for value in row) for row in found if row[-3] == row[-3]]
        statuses = [row.status for row in rows if "scorer" not in row.values]
        assert statuses == [result.call.status.value for result in RESULTS] * len(files)
    assert len(expected) > 150
    if suffix == ".tsv" or suffix == ".tsv.gz":  # digits that float32 needs
        found = [(*row[:-3], *(None if x is None else float(np.float32(x)) for x in row[-3:])) for row in found]
    assert sorted(map(str, found)) == sorted(map(str, expected))


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz"])
@pytest.mark.parametrize("sets", [{}, {"the liver": "liver", "a": "name=a | lung"}])
def test_entries_of_a_vcf_are_read_back(tmp_path, suffix, sets):
    source = tmp_path / "in.vcf"
    calls = [result.call for result in RESULTS]
    lines = [f"{call.chromosome}\t{call.position}\t.\tA\tC\t.\t.\tDP=3" for call in calls]
    source.write_text("\n".join(["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *lines, ""]))
    path = save(tmp_path / f"out{suffix}", source=source, provenance=MADE_BY, track_sets=sets)
    again = save(tmp_path / f"again{suffix}", source=path, provenance=MADE_BY)  # nothing of the first run stays
    for output, chosen in ((path, sets), (again, {})):
        made_by = MADE_BY | ({"track_sets": json.dumps(chosen)} if chosen else {})
        sample = rows_of(output, made_by)
        results = {(result.call.record, "C"): result for result in RESULTS}
        expected = ExpectedRows(TEMPLATES, results, sample.kind, made_by)
        with open_lines(output) as (_, records):
            entries = [line.rpartition("AG=")[2].count("|") // 5 or 1 for line in records]
        assert [row.place[0] for row in sample.rows] == np.repeat(np.arange(len(calls)), entries).tolist()
        assert len(sample.rows) > 100
        for row in sample.rows:
            call = calls[row.place[0]]
            assert (row.values["variant"], row.status) == (str(call), call.status.value)
            now = expected.find(row)
            assert now is not None
            for name in ("score", "quantile"):
                found = row.values.get(name, np.nan)
                assert found == pytest.approx(strongest(now.get(name), found, 1e-4, 0.0), rel=5e-5, nan_ok=True)


def test_every_format_has_a_reader():
    assert set(READERS) == set(SUFFIXES)


@pytest.mark.slow
def test_from_the_command_line(world):
    """One run into every format: the same scores everywhere."""
    folder = world.folder / "formats"
    vcf = world.vcf("formats.vcf", f"5000 = {world.other(5000)}", f"6000 = {world.other(6000)},<DEL>")
    names = ["a.parquet", "a.parquet.d", "a.tsv", "a.vcf.gz", "a.zarr", "a.{scorer}.h5ad"]
    outputs = [argument for name in names for argument in ("-o", str(folder / name))]
    model = ["--fasta", str(world.fasta), "--model", str(world.model), "--scorer", "CHIP_TF", "--window", "2048"]
    assert run(["score", str(vcf), *model, *outputs, "--quiet"]) == 0
    expected = pq.read_table(folder / "a.parquet")
    scores = expected["score"].drop_null().to_numpy()
    assert len(scores) == 4
    other = ds.dataset(folder / "a.parquet.d", partitioning=HIVE).to_table().select(expected.column_names)
    assert other.to_pylist() == expected.to_pylist()
    found = anndata.read_h5ad(folder / "a.CHIP_TF.h5ad")
    np.testing.assert_array_equal(found.X.ravel(), scores)
    assert found.uns["calls"]["status"].tolist() == ["scored", "scored", "symbolic"]
    with xr.open_datatree(folder / "a.zarr", engine="zarr") as tree:
        np.testing.assert_array_equal(tree["CHIP_TF/score"].values.ravel(), scores)
        assert tree["status"].values.tolist() == ["scored", "scored", "symbolic"]
        assert tree.attrs["model_digest"] == found.uns["provenance"]["model_digest"]
