import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from ag_core.genome import Variant
from ag_core.schema import track_table
from ag_data.variants import Call, Status
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.gene_mask import GeneMaskLFCScorer
from ag_scorers.results import Result, ScorerResult
from ag_scorers.tidy import TEXT, Tidy, tidy_schema
from hypothesis import given, settings
from hypothesis import strategies as st

ATAC, RNA = CenterMaskScorer("atac"), GeneMaskLFCScorer("rna_seq")
ATAC_TRACKS = track_table(
    {
        "name": ["liver", "lung"],
        "strand": [".", "."],
        "biosample_name": ["liver", ""],
        "endedness": ["paired", "single"],
    }
)
RNA_TRACKS = track_table(
    {
        "name": ["a", "a", "b"],
        "strand": ["+", "-", "."],
        "biosample_name": ["liver", "liver", "brain"],
        "score": ["x", "y", "z"],
        "genetically_modified": [True, False, True],
        "nonzero_mean": [1.0, 2.0, 3.0],
    }
)
TEMPLATES = [
    ScorerResult(key, scorer, np.zeros((0, tracks.sizes["track"]), np.float32), {}, tracks)
    for key, scorer, tracks in (("ATAC", ATAC, ATAC_TRACKS), ("RNA_SEQ", RNA, RNA_TRACKS))
]
NAN = np.nan


def call(record=0, alt=0, alternate="C", status=Status.SCORED, detail=""):
    variant = Variant("chr1", 10, "A", alternate) if status is Status.SCORED else None
    return Call(record, alt, "chr1", 10, "A", alternate, "rs1", status, variant, detail)


def genes(*strands, **columns):
    table = {"gene_id": [f"G{i}" for i in range(len(strands))], "gene_name": ["" for _ in strands]}
    table = {key: np.array([*values, None], object)[:-1] for key, values in table.items()}
    return table | {"gene_strand": np.array([*strands, None], object)[:-1]} | columns


def atac(values=((1, 2),)):
    return ScorerResult("ATAC", ATAC, np.array(values, np.float32).reshape(-1, 2), {}, ATAC_TRACKS)


def rna(values, table):
    return ScorerResult("RNA_SEQ", RNA, np.array(values, np.float32).reshape(-1, 3), table, RNA_TRACKS)


def test_worked_example():
    scored = Result(call(), (atac([[1, NAN]]), rna([[3, NAN, 4], [NAN, 5, NAN]], genes("+", "-"))))
    bad = Result(call(1, alternate="G", status=Status.REF_MISMATCH, detail="the genome has T"))
    table = Tidy(TEMPLATES).table([scored, bad])
    assert table.schema == tidy_schema(TEMPLATES)
    assert table.schema.names == [
        *("variant", "chromosome", "position", "reference", "alternate", "status", "detail", "record", "alt"),
        *("gene", "gene_name", "gene_type", "gene_strand", "junction_start", "junction_end", "item"),
        *("scorer", "output", "track", "track_strand"),
        *("biosample_name", "endedness", "track_score", "genetically_modified", "score"),
    ]
    assert table.schema.field("score").type == pa.float32()
    assert table.schema.field("genetically_modified").type == pa.bool_()
    assert table.schema.field("gene").type == table.schema.field("track_score").type == TEXT
    rows = table.select(["variant", "status", "gene", "output", "track", "track_strand", "biosample_name", "score"])
    one, two = "chr1:10:A>C", "chr1:10:A>G"
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        (one, "scored", None, "atac", "liver", ".", "liver", 1),
        (one, "scored", None, "atac", "lung", ".", None, None),
        (one, "scored", "G0", "rna_seq", "a", "+", "liver", 3),
        (one, "scored", "G0", "rna_seq", "b", ".", "brain", 4),
        (one, "scored", "G1", "rna_seq", "a", "-", "liver", 5),
        (one, "scored", "G1", "rna_seq", "b", ".", "brain", None),  # NaN with another cause than the strand
        (two, "ref_mismatch", None, None, None, None, None, None),
    ]
    assert table["detail"].to_pylist() == [None] * 6 + ["the genome has T"]
    assert table["record"].to_pylist() == [0] * 6 + [1]
    place = table.select(["chromosome", "position", "reference", "alternate"]).to_pylist()[5:]
    assert [tuple(row.values()) for row in place] == [("chr1", 10, "A", "C"), ("chr1", 10, "A", "G")]
    assert table["genetically_modified"].to_pylist() == [None, None, True, True, False, True, None]
    assert set(table["scorer"].to_pylist()) == {ATAC.name, RNA.name, None}
    assert table["gene_name"].null_count == 7  # empty text is null


def test_numbers_on_the_other_strand_are_kept():
    table = Tidy(TEMPLATES).table([Result(call(), (rna([[1, 2, 3]], genes("+")),))])
    assert table["score"].to_pylist() == [1, 2, 3]


def test_alleles_without_rows_get_one():
    results = [Result(call(), (rna([], genes()),)), Result(call(1), (rna([[1, NAN, 2]], genes("+")),))]
    table = Tidy(TEMPLATES).table(results)
    assert table.select(["record", "status", "score"]).to_pylist() == [
        {"record": 0, "status": "scored", "score": None},
        {"record": 1, "status": "scored", "score": 1},
        {"record": 1, "status": "scored", "score": 2},
    ]
    assert Tidy([]).table([Result(call(status=Status.STAR))]).num_rows == 1
    assert Tidy(TEMPLATES).table([]) == tidy_schema(TEMPLATES).empty_table()


def test_junctions_and_item_columns_of_third_parties():
    columns = {"junction_start": np.array([100, 200]), "junction_end": np.array([150, 260])}
    others = {"motif": np.array(["CTCF", "SP1"]), "rank": np.array([1, 2]), "gene_start": np.array([0, 0])}
    table = Tidy(TEMPLATES).table([Result(call(), (rna(np.ones((2, 3)), genes("+", "-", **columns, **others)),))])
    assert table["junction_start"].to_pylist() == [100] * 3 + [200] * 3
    assert [json.loads(text) for text in table["item"].to_pylist()[::3]] == [
        {"motif": "CTCF", "rank": 1},
        {"motif": "SP1", "rank": 2},
    ]


def test_numbers_beside_the_score():
    """Null where NaN and where a scorer has none; `ref` and `alt` cannot be called so, `alt` numbers the allele."""
    more = {"quantiles": np.array([[0.5, NAN]], np.float32), "alt": np.array([[7, 8]], np.float32)}
    scores = (dataclasses.replace(atac(), **more), rna([[1, 2, 3]], genes(".")))
    templates = [dataclasses.replace(TEMPLATES[0], quantiles=TEMPLATES[0].values), TEMPLATES[1]]
    tidy = Tidy(templates, ("alt", "quantile"))
    table = tidy.table([Result(call(alt=1), scores), Result(call(1, status=Status.STAR))])
    assert table.schema.names[-3:] == ["score", "quantile", "alt_value"]
    assert table["quantile"].to_pylist() == [0.5, *[None] * 5]
    assert table["alt_value"].to_pylist() == [7, 8, *[None] * 4]
    assert table["alt"].to_pylist() == [1] * 5 + [0]
    assert Tidy(templates).schema.names[-2:] == ["score", "quantile"]
    assert Tidy(templates, ()).schema.names[-1] == "score"
    with pytest.raises(ValueError, match=r"\['tails'\] are unknown; expected some of quantile, tail, ref, alt"):
        Tidy(templates, ["tails"])


def test_text_wins_over_truth_values():
    common = {"name": ["a"], "strand": ["."], "number": [1]}
    tables = [track_table(common | {"kept": [value]}) for value in (True, "yes")]
    scores = tuple(ScorerResult(f"k{i}", ATAC, np.ones((1, 1), np.float32), {}, t) for i, t in enumerate(tables))
    table = Tidy(scores).table([Result(call(), scores)])
    assert table["kept"].to_pylist() == ["True", "yes"]
    assert "number" not in table.schema.names


def test_refusals():
    tidy = Tidy(TEMPLATES[:1])
    with pytest.raises(ValueError, match=r"'RNA_SEQ' is none of the run's \['ATAC'\]; add it"):
        tidy.table([Result(call(), (rna([[1, 2, 3]], genes("+")),))])
    with pytest.raises(ValueError, match=r"shape \(1, 1\), but 2 tracks"):
        tidy.table([Result(call(), (dataclasses.replace(atac(), values=np.ones((1, 1), np.float32)),))])
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*'gene_id': 1"):
        tidy.table([Result(call(), (dataclasses.replace(atac(np.ones((2, 2))), table=genes("+")),))])
    with pytest.raises(ValueError, match="not unique"):
        Tidy([*TEMPLATES, TEMPLATES[0]])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.lists(st.sampled_from([None, 0, 1, 4]), max_size=6))
def test_laws(seed, counts):
    """As a plain loop does it, however the results are cut into tables."""
    random = np.random.default_rng(seed)
    results, expected = [], []
    for record, count in enumerate(counts):
        if count is None:
            results.append(Result(call(record, status=Status.FAILED)))
            expected.append((record, "failed", None, None, None))
            continue
        strands = [str(random.choice(["+", "-", "."])) for _ in range(count)]
        values = random.normal(size=(count, 3)).astype(np.float32)
        values[random.random(values.shape) < 0.3] = NAN
        results.append(Result(call(record), (rna(values, genes(*strands)),)))
        rows = [
            (
                record,
                "scored",
                f"G{i}",
                RNA_TRACKS["name"].values[j],
                None if np.isnan(values[i, j]) else values[i, j],
            )
            for i in range(count)
            for j, strand in enumerate("+-.")
            if not np.isnan(values[i, j]) or strand in (".", strands[i])
        ]
        expected += rows or [(record, "scored", None, None, None)]
    tidy = Tidy(TEMPLATES)
    columns = ["record", "status", "gene", "track", "score"]
    found = tidy.table(results).select(columns).to_pylist()
    assert [tuple(row.values()) for row in found] == expected
    pieces = [tidy.table([result]) for result in results]
    assert [row for piece in pieces for row in piece.select(columns).to_pylist()] == found
    assert {piece.schema for piece in pieces} <= {tidy.schema}
