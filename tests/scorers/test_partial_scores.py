"""Exact partial evaluation: the scores of full predictions, from those rows alone that scorers read."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from ag_data.annotation import read_gtf
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.engine import Engine
from ag_scorers.gene_mask import GeneMaskLFCScorer
from ag_scorers.jobs import Indel
from ag_scorers.reading import find_need
from ag_scorers.scoring import open_engine
from ag_scorers.shapes import Shapes
from hypothesis import given, settings
from hypothesis import strategies as st

WINDOW = 8192
SCORERS = ("recommended", "composite_splicing")
SITE = 5520  # near a donor of one gene, inside another


def open_pair(world, **options):
    """Engines that compute all, and what is needed."""
    options = {"gtf": world.gtf, "polya": world.polya(), "model": str(world.model), "window": WINDOW} | options
    engines = (open_engine(Fasta(world.fasta), scorers=SCORERS, batch_size=4, **options) for _ in range(2))
    full, partial = engines
    full.partial, partial.partial = False, True
    return full, partial


@pytest.fixture(scope="module")
def pair(eleven):
    return open_pair(eleven)


def variant_at(world, position, kind):
    """A variant at a 1-based position."""
    base, size = world.genome[position - 1], 1
    alt = world.other(position)
    if kind == "mnv":
        size = 3
        alt = "".join(world.other(position + i) for i in range(3))
    elif kind.startswith("ins"):
        alt = base + "GATTACA"[: int(kind[3:])]
    elif kind.startswith("del"):
        size, alt = int(kind[3:]) + 1, base
    return Variant("chr1", position, world.genome[position - 1 : position - 1 + size], alt)


def same(got, want):
    """Predictions that agree to 1e-5 give logarithms and differences that agree to about that."""
    assert [(one.key, one.values.shape) for one in got] == [(one.key, one.values.shape) for one in want]
    for one, other in zip(got, want, strict=True):
        assert {k: list(v) for k, v in one.table.items()} == {k: list(v) for k, v in other.table.items()}, one.key
        # Junction scores are rounded to float16.
        close = 2e-3 if one.key in ("SPLICE_JUNCTIONS", "CompositeSplicingScorer()") else 1e-5
        np.testing.assert_allclose(one.values, other.values, rtol=close, atol=2 * close, err_msg=one.key)


# The chromosome's ends, the border of an exon, one of a token, and inside two genes.
PLACES = (1, 4001, SITE, 19_990)


def compare(pair, world, kind, strand, places):
    full, partial = pair
    for position in places:
        variant = variant_at(world, position, kind)
        interval = dataclasses.replace(full.interval(variant), strand=strand)
        same(partial.score(variant, interval), full.score(variant, interval))


@pytest.mark.slow
def test_a_substitution_scores_as_in_full(pair, eleven):
    compare(pair, eleven, "snv", "+", PLACES[2:3])


@pytest.mark.slow
def test_an_indel_on_the_other_strand_scores_as_in_full(pair, eleven):
    compare(pair, eleven, "del6", "-", PLACES[2:3])


@pytest.mark.slow
@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("kind", ["snv", "mnv", "ins5", "del6"])
def test_partial_equals_full(pair, eleven, kind, strand):
    compare(pair, eleven, kind, strand, PLACES)


class WholeScorer(AbstractScorer):
    """A third party's scorer that declares no spans."""

    modality: ClassVar[str] = "rna_seq"
    signed: ClassVar[bool] = True
    name: ClassVar[str] = "Whole()"
    requires: ClassVar[tuple[str, ...]] = ()

    def items(self, interval, variant, resolution, resources):
        return Items(np.ones(interval.width, np.float32), {})

    def score(self, ref, alt, masks):
        return ((alt - ref) * masks[:, None]).sum(axis=0)[None] / masks.size


@pytest.fixture(scope="module")
def plain(world):
    """Engines of a model with two heads: everything in full, and only what is read."""
    checkpoint, fasta = load(str(world.model)), Fasta(world.fasta)
    scorers = {
        "center": CenterMaskScorer("chip_tf"),
        "wide": CenterMaskScorer("rna_seq", 501, "diff_mean"),
        "genes": GeneMaskLFCScorer("rna_seq"),
    }
    options = {"resources": {"genes": read_gtf(world.gtf)}, "window": WINDOW, "alleles": True}
    full, partial = (Engine(checkpoint, fasta, scorers, partial=one, **options) for one in (False, True))
    whole = [Engine(checkpoint, fasta, {"whole": WholeScorer()}, partial=one, window=WINDOW) for one in (False, True)]
    return full, partial, whole


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.integers(1, 19_990), st.sampled_from(["snv", "mnv", "ins5", "del6"]), st.integers(-3000, 3000))
def test_anywhere_and_off_the_middle(plain, world, position, kind, shift):
    check_place(plain, world, position, kind, shift)


@pytest.mark.slow
@pytest.mark.parametrize(("position", "kind", "shift"), [(8890, "snv", 0), (8890, "ins5", -2000), (3, "del6", 900)])
def test_some_places(plain, world, position, kind, shift):
    check_place(plain, world, position, kind, shift)


def check_place(plain, world, position, kind, shift):
    full, partial, _ = plain
    variant = variant_at(world, position, kind)
    interval = full.interval(variant).shift(shift)
    got, want = partial.score(variant, interval), full.score(variant, interval)
    same(got, want)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one.ref, other.ref, rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(one.alt, other.alt, rtol=2e-5, atol=1e-5)


@pytest.mark.slow
def test_laws_and_company(plain, world):
    """Equal alleles score 0, swapped ones the opposite; neighbours computed together score as they do alone."""
    _, partial, whole = plain
    variants = [variant_at(world, position, "snv") for position in (8890, 8900, 8901, 8950)]
    one = variants[0]
    swapped = Variant("chr1", one.position, one.alternate_bases, one.reference_bases)
    nothing = Variant("chr1", one.position, one.reference_bases, one.reference_bases)
    for score, back, none in zip(*(partial.score(v) for v in (one, swapped, nothing)), strict=True):
        np.testing.assert_allclose(back.values, -score.values, rtol=1e-5, atol=2e-5)
        assert np.nanmax(np.abs(none.values)) == 0
        assert np.nanmax(np.abs(score.values)) > 1e-6
    interval = partial.interval(one)
    partial.batch_size = 4
    for got, variant in zip(partial.score_many(variants, interval), variants, strict=True):
        same(got, partial.score(variant, interval))
    partial.batch_size = 2
    same(whole[1].score(one), whole[0].score(one))


def test_what_is_not_finite_is_no_score(world):
    checkpoint = load(str(world.model))
    broken = eqx.tree_at(lambda m: m.backbone.tower.blocks[0].mlp, checkpoint.model, replace_fn=_spoil)
    engine = Engine(
        dataclasses.replace(checkpoint, model=broken), Fasta(world.fasta), {"a": CenterMaskScorer("chip_tf")}
    )
    variant = variant_at(world, 9000, "snv")
    call = Call(0, 0, "chr1", 9000, variant.reference_bases, variant.alternate_bases, variant=variant)
    (result,) = engine.run([call])
    assert result.call.status is Status.FAILED
    assert "NaN or infinity where a reads" in result.call.detail


def _spoil(module):
    return jax.tree.map(lambda x: x * jnp.nan if eqx.is_inexact_array(x) else x, module)


def test_windows_on_a_grid_are_shared(plain, world):
    engine = plain[1]
    engine.window_grid = 2048
    try:
        variants = [variant_at(world, position, "snv") for position in (9000, 9100)]
        intervals = [engine.interval(variant) for variant in variants]
        assert intervals[0] == intervals[1] == Interval("chr1", 4096, 4096 + WINDOW)
    finally:
        engine.window_grid = None
    with pytest.raises(InputError, match="window grid must be a positive multiple of 128 bp, got 100; try 2048"):
        Engine(engine.checkpoint, engine.fasta, engine.scorers, resources=engine.resources, window_grid=100)


@pytest.mark.slow
def test_strategies_for_indels(plain, world):
    """A substitution is the same in all; behind an indel they differ."""
    engine = plain[1]
    variants = [variant_at(world, 8850, kind) for kind in ("snv", "ins5")]
    by_strategy = {}
    for indel in Indel:
        engine.indel = indel
        by_strategy[indel] = engine.score_many(variants)
    engine.indel = Indel.ALIGN
    aligned = by_strategy.pop(Indel.ALIGN)
    for others in by_strategy.values():
        same(others[0], aligned[0])
        genes = [results[1][2].values for results in (others, aligned)]
        assert np.nanmax(np.abs(genes[0] - genes[1])) > 1e-4
    with pytest.raises(InputError, match="indel strategy 'left': expected one of align, stitch, none"):
        Engine(engine.checkpoint, engine.fasta, engine.scorers, resources=engine.resources, indel="left")


@given(st.data())
def test_readings_hold_what_is_wanted(data):
    """Whatever shape serves: every wanted row is in its layout, and its token is decoded."""
    total, spans = 64, st.lists(st.tuples(st.integers(0, 8190), st.integers(1, 900)).map(lambda x: (x[0], x[0] + x[1])))
    resolutions = {"fine": 1, "coarse": 128}
    shapes = Shapes(total, data.draw(st.sampled_from([4.0, 1000.0])))
    for _ in range(3):
        wants = {"fine": data.draw(spans), "coarse": [(a // 128, b // 128 + 1) for a, b in data.draw(spans)]}
        reverse = data.draw(st.booleans())
        need = find_need(total * 128, wants, resolutions, reverse=reverse)
        reading = need.reading(shapes.whole(need) if data.draw(st.booleans()) else shapes.choose(need))
        decoded = (reading.rows.starts[:, None] + np.arange(reading.shape.size)).ravel()
        for name, resolution in resolutions.items():
            layout = reading.layouts[name]
            rows = np.unique(np.concatenate([np.zeros(0, int), *(np.arange(*span) for span in wants[name])]))
            places = layout.places(rows[rows < layout.length])
            tokens = rows[rows < layout.length] * resolution // 128
            where = reading.rows.fine[name] if resolution == 1 else reading.rows.coarse[name]
            if where is None:
                assert not reverse
                where = np.arange(total)
            seen = decoded[where] if resolution == 1 else where
            if reverse:
                seen = total - 1 - seen[::2]
            assert (seen[places * resolution // 128] == tokens).all()


def test_a_new_shape_waits_until_it_pays():
    total = 128
    needs = [
        find_need(total * 128, {"fine": [(at * 1280, at * 1280 + 300) for at in range(count)]}, {"fine": 1})
        for count in (1, 3, 6, 9)
    ]
    assert len({need.shape for need in needs}) == 4
    free = Shapes(total, 16.0)
    assert [free.choose(need) for need in needs] == [need.shape for need in needs]
    dear = Shapes(total, 1000.0)
    assert dear.dear
    assert not free.dear
    assert dear.choose(needs[0]) == needs[0].shape, "something must be compiled in any case"
    assert dear.choose(needs[1]) == dear.whole(needs[1])
    asked = 0
    while dear.choose(needs[1], jobs=16) == dear.whole(needs[1]):
        asked += 16
        assert asked < 1000 * total, "it never pays"
    wasted = asked * (dear.whole(needs[1]).cost - needs[1].shape.cost)
    assert 0.9 * 1000 * total < wasted < 1000 * total
    assert dear.choose(needs[1]) == needs[1].shape, "once there, it is used"
    assert dear.choose(needs[2]) == dear.whole(needs[2]), "and the next one waits again"


def test_where_programs_are_dear_the_first_suits_most():
    total = 128

    def need(*starts):
        return find_need(total * 128, {"fine": [(at * 1280, at * 1280 + 300) for at in starts]}, {"fine": 1})

    few, usual, many = need(0), need(0, 3, 5), need(*range(9))
    needs = [(few, 4), (usual, 50), (few, 1), (many, 3)]
    dear = Shapes(total, 1000.0)
    dear.begin(needs)
    assert [dear.choose(one) for one in (few, usual)] == [usual.shape] * 2
    assert dear.choose(many) == dear.whole(many)
    dear.begin([(few, 1000)])
    assert dear.choose(usual) == usual.shape, "what is compiled stays"
    free = Shapes(total, 16.0)
    free.begin(needs)
    assert free.choose(few) == few.shape
