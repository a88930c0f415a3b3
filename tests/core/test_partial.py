"""Partial evaluation of the backbone: corrected features and decoded stretches equal the whole sequence's."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.backbone import Backbone
from ag_core.config import PRESETS, TOKEN
from ag_core.decoding import decode, tokens_read
from ag_core.features import encode, overlaid, patch, patched_trunk, recompute
from ag_core.layout import NOWHERE, Layout, merge
from ag_core.model import fold
from ag_core.partial import EDITS, find_change
from ag_core.spans import Pieces, choose_pieces, place_pieces
from hypothesis import example, given, settings
from hypothesis import strategies as st

LENGTH = 4096
WHICH = jnp.array([1, 0])


@pytest.fixture(scope="module")
def backbone(randomise):
    config = dataclasses.replace(PRESETS["tiny"], organisms=1)
    return fold(randomise(eqx.filter_eval_shape(Backbone, config, key=jax.random.key(0))), fast=False)


@pytest.fixture(scope="module")
def known(backbone):
    codes = np.random.default_rng(0).integers(0, 4, (2, LENGTH)).astype(np.uint8)
    return codes, encode(backbone, jnp.asarray(codes), "float32")


def close(got, want):
    """Equal but for rounding, against the largest value there is."""
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


@eqx.filter_jit
def _decoded(backbone, features):
    return backbone.decoder(1.1 * features.trunk, features.skips)


@eqx.filter_jit
def _parts(backbone, ref, codes, first, starts, edit, size):
    new = patch(backbone, ref, WHICH, codes, first, edit)
    trunk = patched_trunk(ref, WHICH, new)
    begin = jnp.zeros(2, jnp.int32)
    skips = [
        overlaid(x, WHICH, *both, begin, x.shape[1])
        for x, *both in zip(ref.skips, new.starts, new.values, strict=False)
    ]
    return trunk, skips, decode(backbone, 1.1 * trunk, ref, WHICH, new, starts, size)


# The first and last base, both sides of a token's border, and the last places for an edit.
@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(0, LENGTH - 4), min_size=2, max_size=2), st.lists(st.integers(0, 29), min_size=4, max_size=4)
)
@example([0, LENGTH - 4], [0, 29, 28, 1])
@example([127, 128], [2, 3, 4, 5])
@pytest.mark.slow
def test_patches_and_stretches_are_exact(backbone, known, places, tokens):
    codes, ref = known
    alt = codes[np.asarray(WHICH)]
    for row, place in enumerate(places):
        alt[row, place : place + 4] = (alt[row, place : place + 4] + 1) % 4
    starts = jnp.asarray(tokens).reshape(2, 2)
    got = _parts(backbone, ref, jnp.asarray(alt), jnp.asarray(places), starts, 4, 3)
    want = encode(backbone, jnp.asarray(alt), "float32")
    close(got[0], want.trunk)
    for one, other in zip(got[1], want.skips, strict=True):
        close(one, other)
    whole = np.asarray(_decoded(backbone, want))
    stretches = [whole[i // 2, t * TOKEN : (t + 3) * TOKEN] for i, t in enumerate(tokens)]
    close(got[2], np.stack(stretches))


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 1000), *(pytest.param(*ends, marks=pytest.mark.slow) for ends in ((1500, LENGTH), (1200, 2100)))],
)
def test_what_lies_beside_an_indel_is_reused(backbone, known, first, last):
    codes, ref = known
    alt = codes[np.asarray(WHICH)]
    alt[:, first:last] = (alt[:, first:last] + np.random.default_rng(1).integers(1, 4, last - first)) % 4
    change, start = find_change(codes[1], alt[0])
    assert not change.patched
    assert change.size < LENGTH
    got = recompute(backbone, ref, WHICH, jnp.asarray(alt), jnp.full(2, start), change.size)
    want = encode(backbone, jnp.asarray(alt), "float32")
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        close(one, other)


@given(st.data())
def test_changes_cover_what_differs(data):
    ref = np.zeros(LENGTH, np.uint8)
    places = data.draw(st.lists(st.integers(0, LENGTH - 1), max_size=3))
    alt = ref.copy()
    alt[places] = 1
    change, first = find_change(ref, alt)
    assert 0 <= first <= first + change.size <= LENGTH
    assert set(np.flatnonzero(alt)) <= set(range(first, first + change.size))
    assert change.size in EDITS if change.patched else change.size % TOKEN == 0 == first % TOKEN


@given(st.sets(st.integers(0, 99), max_size=40), st.integers(100, 120))
def test_pieces_cover_the_wanted_tokens(wanted, total):
    size, count = choose_pieces(sorted(wanted), total)
    pieces = Pieces(np.array(place_pieces(sorted(wanted), size, total)), size)
    assert wanted <= set(pieces.tokens.tolist())
    assert pieces.tokens.max() < total
    assert len(pieces.starts) <= count
    assert count * size <= total


@given(st.lists(st.tuples(st.integers(-5, 60), st.integers(-5, 60)), max_size=8))
def test_merged_spans_cover_the_same_rows(spans):
    merged = merge(spans, 50)
    rows = {row for start, end in spans for row in range(max(start, 0), min(end, 50))}
    assert rows == {row for start, end in merged for row in range(start, end)}
    assert all(one[1] < other[0] for one, other in itertools.pairwise(merged))


def test_a_layout_knows_where_rows_are():
    layout = Layout(10, np.array([4, 5, 6, 0, NOWHERE, NOWHERE]))
    assert layout.places(np.array([[0, 5], [6, 4]])).tolist() == [[3, 1], [2, 0]]
    assert layout.find(np.array([7])).tolist() == [NOWHERE]
    assert layout.take(np.arange(10), fill=-7).tolist() == [4, 5, 6, 0, -7, -7]
    with pytest.raises(ValueError, match="row 9 of 10 is not in the layout"):
        layout.places(np.array([4, 9]))
    assert not layout.is_whole
    assert Layout.whole(10).is_whole


@pytest.mark.slow
def test_the_last_block_may_answer_some_tokens_alone(backbone, known):
    trunk = known[1].trunk
    rows = jnp.asarray([[0, 31, 7, 7], [5, 16, 30, 1]])
    whole, pair = backbone.tower(trunk)
    some, same_pair = backbone.tower(trunk, rows=rows)
    close(same_pair, pair)
    for one, other, at in zip(some, whole, np.asarray(rows), strict=True):
        close(one[at], other[at])
        assert not np.delete(np.asarray(one), at, axis=0).any()


@given(st.lists(st.integers(0, 29), min_size=1, max_size=3))
def test_tokens_that_decoding_reads(starts):
    """Six to each side of a piece of three, as many at an end."""
    found = np.asarray(tokens_read(jnp.asarray([starts]), 3, 32)).reshape(len(starts), -1)
    assert found.shape[1] == 15
    for start, tokens in zip(starts, found, strict=True):
        assert {t for t in range(start - 6, start + 9) if 0 <= t < 32} <= set(tokens.tolist())
        assert 0 <= tokens.min() <= tokens.max() < 32
