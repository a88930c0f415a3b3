"""Results that calls might have: what `--plan` writes to see how large outputs become."""

import dataclasses

import numpy as np
import pytest
from ag_core.genome import Variant
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from ag_scorers.invention import invent
from ag_scorers.results import Result
from ag_scorers.scoring import open_engine

LONG = 20  # neighbours in a run


@pytest.fixture(scope="module")
def engine(world):
    return open_engine(Fasta(world.fasta), gtf=world.gtf, model=world.model, scorers=["chip_tf", "rna_seq"])


def call(number, start):
    return Call(number, 0, "chr1", start + 1, "A", "C", "", Status.SCORED, Variant("chr1", start + 1, "A", "C"))


@pytest.fixture(scope="module")
def pool(engine):
    """Two runs; of two neighbours each, the first track has the same value, the second is NaN, the third 0."""
    random, runs = np.random.default_rng(0), []
    for place in (3000, 8200):
        values = random.normal(size=LONG // 2).repeat(2)
        runs.append([result(engine, call(n, place + n), value) for n, value in enumerate(values)])
    return {"snv": runs}


def result(engine, call, value):
    scores = []
    for template in engine.templates():
        scorer, tracks = template.scorer, template.tracks.sizes["track"]
        interval = engine.interval(call.variant)
        table = scorer.items(interval, call.variant, engine.resolution_of(scorer), engine.resources).table
        items = min(map(len, table.values()), default=1)
        row = np.array([value, *[np.nan, 0.0][: tracks - 1]], np.float32)
        scores.append(dataclasses.replace(template, values=np.tile(row, (items, 1)), table=table))
    return Result(call, tuple(scores))


def test_neighbours_share_what_neighbours_shared_and_no_run_comes_twice(engine, pool):
    block = [call(number, 3000 + number) for number in range(-LONG, 5 * LONG)]
    found = list(invent(engine, [block], pool))
    assert [one.call for one in found] == block
    values = np.concatenate([one.scores[0].values for one in found])
    distinct = len(np.unique(values[:, 0]))
    # Cut anywhere, a run of n values in pairs has n / 2 of them, and one more if it begins within a pair.
    assert 4 * LONG / 2 <= distinct <= 6 * LONG / 2 + 6
    assert np.isnan(values[:, 1]).all()
    rna = np.concatenate([one.scores[1].values for one in found if len(one.scores[1].values)])
    assert not rna[:, 2].any()


def test_calls_in_no_order_share_nothing(engine, pool):
    places = np.random.default_rng(1).permutation(2 * LONG)
    block = [call(number, 9200 + int(place)) for number, place in enumerate(places)]
    values = np.concatenate([one.scores[0].values for one in invent(engine, [block], pool)])
    assert len(np.unique(values[:, 0])) == len(block)


def test_genes_are_those_of_the_call(engine, pool):
    """Wherever it is: no run was near the second gene."""
    block = [call(number, start) for number, start in enumerate((1000, 3000, 10_000))]
    unknown = dataclasses.replace(call(3, 5), variant=None, status=Status.UNKNOWN_CONTIG)
    *found, last = invent(engine, [[*block, unknown]], pool)
    assert last == Result(unknown)
    for one, own in zip(found, block, strict=True):
        expected = result(engine, own, 1.0).scores[1]
        assert list(one.scores[1].table.get("gene_id", [])) == list(expected.table.get("gene_id", []))
        assert one.scores[1].values.shape == expected.values.shape
    assert [list(one.scores[1].table["gene_name"]) for one in found] == [[], ["ONE"], ["TWO"]]
