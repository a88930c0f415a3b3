"""Predictions piece by piece equal those of the whole sequence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.sequence import one_hot
from ag_core.spans import cover
from ag_core.streaming import stream
from hypothesis import given
from hypothesis import strategies as st

LENGTH = 10_240


def join(pieces):
    """Whole predictions from pieces, which must follow each other without a gap."""
    joined = {}
    for piece in pieces:
        before = joined.setdefault(piece.modality, {})
        for key, x in piece.predictions.items():
            so_far = before.get(key)
            if so_far is None:
                assert piece.start == 0
                before[key] = np.asarray(x)
            else:
                bin_size = {True: 128}.get(key.endswith("128bp"), 1)
                assert piece.start == bin_size * len(so_far)
                before[key] = np.concatenate([so_far, x])
    return joined


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(3).integers(0, 5, LENGTH).astype(np.uint8)


@pytest.fixture(scope="module")
def whole(eleven_heads_model, codes):
    """Predictions of both strands, the reverse one turned to the forward frame."""
    model, organism = eleven_heads_model, jnp.array(1)
    complement = np.array([3, 2, 1, 0, 4], np.uint8)[codes[::-1]]

    @eqx.filter_jit
    def run(model, codes):
        predictions = model(one_hot(codes)[None], organism[None])
        return jax.tree.map(lambda x: x[0], predictions)

    forward, reverse = run(model, codes), run(model, complement)
    turned = {name: model.heads[name].reverse_complement(p, organism, LENGTH) for name, p in reverse.items()}
    return complement, forward, turned


def assert_equal(got, want):
    assert list(got) == sorted(got, key=list(got).index)
    assert set(got) == set(want)
    for name, predictions in want.items():
        for key, x in predictions.items():
            np.testing.assert_allclose(got[name][key], x, 2e-4, 1e-5, err_msg=f"{name}/{key}")


@pytest.mark.parametrize(
    "piece", [*(pytest.param(size, marks=pytest.mark.slow) for size in (4096, 2048 + 128)), 16_384]
)
def test_pieces_equal_the_whole(eleven_heads_model, codes, whole, piece):
    assert_equal(join(stream(eleven_heads_model, codes, 1, piece=piece)), whole[1])


@pytest.mark.slow
def test_pieces_of_the_other_strand_come_back_turned(eleven_heads_model, whole):
    """Cut sites move by one base across the borders of pieces too."""
    complement, _, turned = whole
    got = join(stream(eleven_heads_model, complement, 1, piece=4096, reverse=True))
    assert_equal(got, turned)


def test_only_what_is_needed_is_predicted(eleven_heads_model, codes, whole):
    coarse = join(stream(eleven_heads_model, codes, 1, modalities=["chip_tf", "contact_maps"], piece=4096))
    assert_equal(coarse, {name: whole[1][name] for name in ("chip_tf", "contact_maps")})
    junctions = join(stream(eleven_heads_model, codes, 1, modalities=["splice_junctions"], piece=4096))
    assert_equal(junctions, {name: whole[1][name] for name in ("splice_sites", "splice_junctions")})


def test_bad_lengths(eleven_heads_model, codes):
    with pytest.raises(ValueError, match="multiple of 2,048"):
        next(stream(eleven_heads_model, codes[:3000], 0))
    with pytest.raises(ValueError, match="multiples of 128"):
        next(stream(eleven_heads_model, codes, 0, piece=1000))
    with pytest.raises(LookupError, match="no head 'methylation'"):
        next(stream(eleven_heads_model, codes, 0, modalities=["methylation"]))


@given(tokens=st.integers(1, 40), piece=st.integers(1, 50), halo=st.integers(0, 8))
def test_spans_cover_everything_once_with_their_halo(tokens, piece, halo):
    length, piece, halo = 128 * tokens, 128 * piece, 128 * halo
    spans = cover(length, piece, halo)
    assert [span.keep for span in spans] == list(range(0, length, piece))
    assert sum(span.kept for span in spans) == length
    for span in spans:
        end, kept_end = span.start + span.length, span.keep + span.kept
        assert 0 <= span.start <= span.keep < kept_end <= end <= length
        assert span.start == 0 or span.keep - span.start >= halo
        assert end == length or end - kept_end >= halo
    assert len({span.length for span in spans[:-1]}) <= 1
