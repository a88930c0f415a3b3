import dataclasses

import numpy as np
import pytest
from ag_core.schema import track_table
from ag_data.variants import Call, Status
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.dataset import to_datatree
from ag_scorers.gene_mask import GeneMaskLFCScorer
from ag_scorers.results import Result, ScorerResult

ATAC, RNA = CenterMaskScorer("atac", aggregation="active_sum"), GeneMaskLFCScorer("rna_seq")
ATAC_TRACKS = track_table({"name": ["liver", "lung"], "strand": [".", "."]}).isel(track=[1, 0])
RNA_TRACKS = track_table(
    {"name": ["a", "a", "b"], "strand": ["+", "-", "."], "kept": [True, False, True], "gene": ["x", "y", "z"]}
)


def call(record, status=Status.SCORED, detail=""):
    return Call(record, 0, "chr1", 10, "A", "C", "", status, None, detail)


def atac(value, tracks=ATAC_TRACKS):
    return ScorerResult("ATAC", ATAC, np.full((1, 2), value, np.float32), {}, tracks)


def rna(*strands, **columns):
    table = {"gene_id": [f"G{i}" for i in range(len(strands))], "gene_strand": [*strands]}
    table = {name: np.array([*column, None], object)[:-1] for name, column in table.items()} | columns
    values = np.arange(3 * len(strands), dtype=np.float32).reshape(-1, 3)
    return ScorerResult("RNA_SEQ", RNA, values, table, RNA_TRACKS)


def test_worked_example():
    results = [
        Result(call(0), (atac(1), rna("+", "-"))),
        Result(call(1, Status.OUTSIDE, "beyond")),
        Result(call(2), (atac(2), rna())),
        Result(call(3), (atac(np.nan), rna("+", junction_start=np.array([5])))),
    ]
    tree = to_datatree(iter(results), {"model": "mini"})
    assert tree.attrs == {"model": "mini"}
    assert tree["status"].dims == ("call",)
    assert tree["status"].values.tolist() == ["scored", "outside", "scored", "scored"]
    assert tree["detail"].values.tolist() == ["", "beyond", "", ""]
    assert tree["variant"].values.tolist() == ["chr1:10:A>C"] * 4
    assert list(tree.children) == ["ATAC", "RNA_SEQ"]

    score = tree["ATAC/score"]
    assert (score.dims, score.dtype, score.shape) == (("item", "track"), np.float32, (3, 2))
    np.testing.assert_array_equal(score, [[1, 1], [2, 2], [np.nan, np.nan]])
    assert score["call"].values.tolist() == [0, 2, 3]
    assert score["track"].values.tolist() == [1, 0]
    assert score["name"].values.tolist() == ["lung", "liver"]
    assert tree["ATAC"].attrs == {"scorer": ATAC.name, "modality": "atac", "signed": 0}

    score = tree["RNA_SEQ/score"]
    assert score["gene"].values.tolist() == ["G0", "G1", "G0"]
    assert score["gene_strand"].values.tolist() == ["+", "-", "+"]
    np.testing.assert_array_equal(score["junction_start"], [np.nan, np.nan, 5])
    assert score["call"].values.tolist() == [0, 0, 3]
    assert score["variant"].dims == ("item",)
    assert score["track_gene"].values.tolist() == ["x", "y", "z"]
    assert score["strand"].dtype == score["variant"].dtype == object
    assert score["kept"].dtype == bool
    assert tree["RNA_SEQ"].attrs["signed"] == 1


def test_numbers_beside_the_score_and_gaps():
    one, two = rna("+"), rna("-", motif=np.array(["SP1"]), kept=np.array([True]))
    two = dataclasses.replace(two, tails=two.values + 1, ref=two.values, alt=two.values)
    child = to_datatree([Result(call(0), (one,)), Result(call(1), (two,))])["RNA_SEQ"]
    assert list(child.data_vars) == ["score", "tail", "ref", "alt"]
    np.testing.assert_array_equal(child["tail"], [[np.nan] * 3, [1, 2, 3]])
    assert child["motif"].values.tolist() == ["", "SP1"]
    np.testing.assert_array_equal(child["kept"], [np.nan, 1])
    assert child["track_kept"].values.tolist() == [True, False, True]


def test_selection_by_coordinates():
    tree = to_datatree([Result(call(i), (rna("+", "-"),)) for i in range(2)])
    score = tree["RNA_SEQ/score"]
    picked = score.sel(item=score["gene"] == "G1", track=score["strand"] == "-")
    np.testing.assert_array_equal(picked, [[4], [4]])
    frame = tree["RNA_SEQ"].to_dataset().to_dataframe().reset_index()
    assert len(frame) == 12


def test_without_scores():
    tree = to_datatree([Result(call(0, Status.STAR))])
    assert not tree.children
    assert tree["status"].values.tolist() == ["star"]
    assert to_datatree([]).sizes == {"call": 0}


def test_tracks_must_be_the_same():
    other = ATAC_TRACKS.assign(name=("track", np.array(["x", "y"], object)))
    same = to_datatree([Result(call(0), (atac(1),)), Result(call(1), (atac(1, ATAC_TRACKS.copy(deep=True)),))])
    assert same["ATAC"].sizes["item"] == 2
    with pytest.raises(ValueError, match="'ATAC' has different tracks in different results"):
        to_datatree([Result(call(0), (atac(1),)), Result(call(1), (atac(1, other),))])
