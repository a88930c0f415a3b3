"""Shard files lose nothing; a run of shards comes through whatever ends it, and its outputs show no sign of that."""

import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_core.schema import track_table
from ag_data.variants import Call, Status
from ag_scorers.campaign import batched, merge, read_results, score_calls, shard_size
from ag_scorers.recommended import recommended
from ag_scorers.results import Result, ScorerResult
from ag_scorers.shard_file import ARRAYS, read_calls, read_shard, write_shard
from ag_scorers.shards import RunFolder, compare_plans
from hypothesis import given, settings
from hypothesis import strategies as st

BASES = st.text("ACGTN", min_size=0, max_size=5)
TEXT = st.text(max_size=8)  # line breaks, quotes and characters of all planes


@pytest.fixture(scope="session")
def templates():
    """What scorers with and without genes report on."""
    scorers = recommended(["chip_tf", "rna_seq"])
    table = track_table({"name": ["one", "two"], "strand": ["+", "."], "biosample_name": ["K562", "HepG2"]})
    return [
        ScorerResult(key, scorer, np.zeros((0, 2), "f4"), {}, table)
        for key, scorer in scorers.items()
        if key in ("CHIP_TF", "RNA_SEQ")
    ]


@st.composite
def calls(draw, record):
    variant = None
    if draw(st.booleans()):
        variant = Variant(draw(TEXT), draw(st.integers(1, 2**40)), draw(BASES), draw(BASES), draw(TEXT))
    raw = draw(TEXT), draw(st.integers(0, 2**40)), draw(TEXT), draw(TEXT), draw(TEXT)
    return Call(record, draw(st.integers(0, 9)), *raw, draw(st.sampled_from(Status)), variant, draw(TEXT))


@st.composite
def scores(draw, template):
    count = draw(st.integers(0, 3))
    shape = count, template.tracks.sizes["track"]
    kind = draw(st.sampled_from(["f4", "f8", "f2"])) if count else "f4"
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    arrays = {  # any bits: infinities, and NaN of many kinds
        name: random.bytes(int(np.prod(shape)) * int(kind[1]))
        for name in ("values", *draw(st.sets(st.sampled_from(ARRAYS[1:]))))
    }
    columns = {
        "gene_id": np.array(draw(st.lists(TEXT, min_size=count, max_size=count)), object),
        "gene_strand": random.choice(["+", "-"], count),
        "junction_start": random.integers(-(2**62), 2**62, count),
        "weight": random.normal(size=count),
        "coding": random.random(count) > 0.5,
    }
    chosen = draw(st.sets(st.sampled_from(sorted(columns))))
    parsed = {name: np.frombuffer(data, kind).reshape(shape) for name, data in arrays.items()}
    return template, {"table": {name: columns[name] for name in chosen}, **parsed}


@st.composite
def result_lists(draw, templates):
    return [
        (draw(calls(record)), [draw(scores(template)) for template in templates if draw(st.booleans())])
        for record in range(draw(st.integers(0, 4)))
    ]


def assert_same(one: list[Result], other: list[Result]) -> None:
    assert [r.call for r in one] == [r.call for r in other]
    for a, b in zip(one, other, strict=True):
        assert [s.key for s in a.scores] == [s.key for s in b.scores]
        if a.call.variant is not None and b.call.variant is not None:  # the name takes no part in comparisons
            assert a.call.variant.name == b.call.variant.name
        for x, y in zip(a.scores, b.scores, strict=True):
            for name in ARRAYS:
                left, right = getattr(x, name), getattr(y, name)
                assert (left is None) == (right is None)
                if left is not None:
                    assert (left.dtype, left.shape) == (right.dtype, right.shape)
                    assert left.tobytes() == right.tobytes()  # each NaN as it was
            assert list(x.table) == list(y.table)
            for column in x.table:
                assert x.table[column].dtype == y.table[column].dtype
                np.testing.assert_array_equal(x.table[column], y.table[column])


@settings(max_examples=25)
@given(data=st.data())
def test_a_shard_file_gives_back_what_it_was_given(data, templates, tmp_path_factory):
    results = [
        Result(call, tuple(dataclasses.replace(template, **fields) for template, fields in drawn))
        for call, drawn in data.draw(result_lists(templates))
    ]
    path, again = (tmp_path_factory.mktemp("shard") / name for name in ("one", "two"))
    write_shard(path, results, templates)
    assert_same(list(read_shard(path, templates)), results)
    assert read_calls(path, templates) == [result.call for result in results]
    write_shard(again, list(read_shard(path, templates)), templates)
    assert path.read_bytes() == again.read_bytes()


def test_what_a_shard_file_cannot_hold_is_refused(templates, tmp_path):
    call = Call(0, 0, "chr1", 5, "A", "C")
    one = templates[0]
    wide = dataclasses.replace(one, values=np.zeros((1, 3), "f4"))
    with pytest.raises(ValueError, match="one column for each of 2 tracks"):
        write_shard(tmp_path / "x", [Result(call, (wide,))], templates)
    odd = dataclasses.replace(one, table={"place": np.array([object()], object)}, values=np.zeros((1, 2), "f4"))
    with pytest.raises(ValueError, match=r"\(place\) cannot be kept"):
        write_shard(tmp_path / "x", [Result(call, (odd,))], templates)
    with pytest.raises(ValueError, match="in this order"):
        write_shard(tmp_path / "x", [Result(call, (templates[1], one))], templates)
    write_shard(tmp_path / "few", [Result(call, (one,))], templates[:1])
    with pytest.raises(InputError, match="expected call and"):
        list(read_shard(tmp_path / "few", templates))
    whole = (tmp_path / "few").read_bytes()
    for number, damaged in enumerate([whole[:-20], whole.replace(b"\x28\xb5\x2f\xfd", bytes(4))]):  # no zstd any more
        path = tmp_path / f"damaged{number}"
        path.write_bytes(damaged)
        for read in (read_shard, read_calls):
            with pytest.raises(InputError, match="is damaged"):
                list(read(path, templates[:1]))


@given(st.permutations(range(12)))
def test_scored_by_place_and_handed_back_in_input_order(places):
    given_order = [
        Call(n, 0, "chr1", p, "A", "C", variant=Variant("chr1", p + 1, "A", "C")) for n, p in enumerate(places)
    ]
    given_order[5] = dataclasses.replace(given_order[5], variant=None, status=Status.STAR)
    seen = []

    def score(calls):
        for call in calls:
            seen.append(call)
            yield Result(call)

    assert [result.call for result in score_calls(score, given_order)] == given_order
    positions = [call.position for call in seen if call.variant]
    assert positions == sorted(positions)
    assert [call.variant is None for call in seen] == [False] * 11 + [True]
    with pytest.raises(ValueError, match="zip"):  # one result too few would be a lost variant
        score_calls(lambda calls: iter(list(score(calls))[1:]), given_order)


def test_shards_hold_fewer_variants_where_each_has_more_scores(templates):
    many = [dataclasses.replace(t, tracks=t.tracks.isel(track=np.zeros(5000, int))) for t in templates]
    assert shard_size(templates) == 4096
    assert shard_size(many) == 256
    assert [len(batch) for batch in batched(range(10), 4)] == [4, 4, 2]


class TestFolder:
    PLAN: ClassVar = {"alleles": 4, "settings": {"model": "mini", "reference": {"chr1": "SQ.a"}}}

    @staticmethod
    def results(first: int, count: int = 2) -> list[Result]:
        return [Result(Call(first + n, 0, "chr1", 5, "A", "*", status=Status.STAR)) for n in range(count)]

    def test_another_plan_is_refused_in_words(self, tmp_path, templates):
        RunFolder(tmp_path / "run", self.PLAN, templates).close()
        other = {"alleles": 5, "settings": {"model": "mini", "reference": {"chr1": "SQ.b"}, "tracks": "liver"}}
        with pytest.raises(InputError) as caught:
            RunFolder(tmp_path / "run", other, templates)
        for words in (
            "alleles was 4, now 5",
            "reference chr1 was SQ.a, now SQ.b",
            "tracks was nothing, now liver",
            "--work",
        ):
            assert words in str(caught.value)
        RunFolder(tmp_path / "run", self.PLAN, templates).close()  # and the folder is free again
        assert compare_plans(other, other) == []

    def test_one_process_at_a_time(self, tmp_path, templates):
        first = RunFolder(tmp_path / "run", self.PLAN, templates)
        with pytest.raises(InputError, match="in use"):
            RunFolder(tmp_path / "run", self.PLAN, templates)
        first.remove()
        assert not (tmp_path / "run").exists()

    def test_a_folder_of_something_else_is_left_alone(self, tmp_path, templates):
        (tmp_path / "thesis.tex").write_text("")
        with pytest.raises(InputError, match="no folder of a run"):
            RunFolder(tmp_path, self.PLAN, templates)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_damaged_shards_are_made_again_and_missing_ones_told(self, tmp_path, templates):
        folder = RunFolder(tmp_path / "run", self.PLAN, templates)
        for number in range(3):
            folder.write(number, self.results(2 * number), 0.5)
        manifest = json.loads((tmp_path / "run/shards/00001.json").read_text())
        assert (manifest["first"], manifest["last"], manifest["statuses"]) == ([2, 0], [3, 0], {"star": 2})
        assert sum(1 for _ in read_results(folder)) == 6
        folder.close()
        data = tmp_path / "run/shards/00001.arrow"
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
        folder = RunFolder(tmp_path / "run", self.PLAN, templates)
        assert sorted(folder.manifests) == [0, 2]
        folder.manifests[3] = folder.manifests[2]
        with pytest.raises(RuntimeError, match="shard 1 is missing"):
            list(read_results(folder))
        folder.close()

    def test_a_lost_or_doubled_allele_does_not_pass(self, tmp_path, templates):
        folder = RunFolder(tmp_path / "run", self.PLAN, templates)
        folder.write(0, self.results(0), 0.5)
        folder.write(1, self.results(1), 0.5)  # record 1 a second time
        with pytest.raises(RuntimeError, match=r"\(1, 0\) after \(1, 0\)"):
            list(read_results(folder))
        folder.write(1, self.results(3), 0.5)
        with pytest.raises(RuntimeError, match="4 alleles, but the input has 5"):
            merge(read_results(folder), [], 5)
        statuses, failed = merge(read_results(folder), [], 4)
        assert statuses == {"star": 4}
        assert failed is None
        folder.remove()
