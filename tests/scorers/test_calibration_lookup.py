"""Quantiles and tails against their definition, counted out; tails that are extrapolated; the reference's lookup."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_scorers.calibration import Lookup
from ag_scorers.calibration_table import point_ranks, summarise
from ag_scorers.pareto_tail import CRITICAL, fit_tail
from ag_scorers.quantile_lookup import insertion, reference_quantiles
from ag_scorers.quantile_sketch import QuantileSketch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import genpareto

WHOLE = st.integers(-6, 6).map(float)


def lookup_of(background, *, signed=False, middle=1001, tail_size=500, names=None, **options):
    """A lookup in the table of background scores [score, track]."""
    sketch = QuantileSketch(background.shape[1], 4096, tail_size)
    sketch.add(background.astype(np.float32))
    tracks = tuple((f"t{number}", ".") for number in range(background.shape[1]))
    table = summarise(sketch, {"signed": signed}, tracks, middle)
    return Lookup(table, names or tracks, middle, tail_size, **options)


@settings(max_examples=40)
@given(
    background=hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(2)), elements=WHOLE),
    values=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 6), st.just(2)), elements=WHOLE | st.floats(-9, 9, width=32)
    ),
    missing=st.integers(0, 10),
    signed=st.booleans(),
)
def test_definition(background, values, missing, signed):
    background[:missing, 1] = np.nan  # the second track has fewer scores, or none
    quantiles, tails = lookup_of(background, signed=signed)(values)
    for track in (0, 1):
        known = background[~np.isnan(background[:, track]), track]
        n = len(known)
        for row, value in enumerate(values[:, track]):
            if not n:
                assert np.isnan(quantiles[row, track])
                assert np.isnan(tails[row, track])
                continue
            below, up_to = np.count_nonzero(known < value), np.count_nonzero(known <= value)
            cdf = (below + up_to) / (2 * n)
            assert quantiles[row, track] == pytest.approx(2 * cdf - 1 if signed else cdf, abs=1e-6)
            upper, lower = (1 + n - below) / (1 + n), (1 + up_to) / (1 + n)
            odds = min(1, 2 * min(upper, lower)) if signed else upper
            assert tails[row, track] == pytest.approx(-np.log10(odds), abs=1e-6)


def test_by_hand():
    """Nine scores 1 to 9, two of them 5: 10 is beyond all, 5 in the middle."""
    background = np.array([[1, 2, 3, 4, 5, 5, 6, 7, 9]], np.float32).T
    quantiles, tails = lookup_of(background)(np.array([[10], [5], [8], [0]], np.float32))
    np.testing.assert_allclose(quantiles[:, 0], [1, 5 / 9, 8 / 9, 0])
    np.testing.assert_allclose(tails[:, 0], -np.log10([0.1, 0.6, 0.2, 1]), atol=1e-6)
    quantiles, tails = lookup_of(background, signed=True)(np.array([[10], [5], [0]], np.float32))
    np.testing.assert_allclose(quantiles[:, 0], [1, 1 / 9, -1], atol=1e-6)
    np.testing.assert_allclose(tails[:, 0], [-np.log10(0.2), 0, -np.log10(0.2)], atol=1e-6)


def test_thinned_tables_are_exact_in_the_tails_and_close_between():
    random = np.random.default_rng(0)
    n, middle, tail_size = 5000, 101, 50
    background = random.standard_t(3, (n, 2)).astype(np.float32)
    background[:2000, 1] = 0  # a large tie
    values = np.concatenate([np.quantile(background, np.linspace(0, 1, 999), axis=0), background[:500]])
    thin, tails = lookup_of(background, middle=middle, tail_size=tail_size)(values.astype(np.float32))
    full, exact = lookup_of(background, middle=n)(values.astype(np.float32))
    gap = (n - 2 * tail_size) / (middle - 1)
    assert np.abs(thin - full).max() <= gap / n
    outer = np.abs(full - 0.5) > 0.5 - tail_size / n
    assert outer.sum() > 20
    np.testing.assert_allclose(thin[outer], full[outer], atol=1e-6)
    np.testing.assert_allclose(tails[full > 1 - tail_size / n], exact[full > 1 - tail_size / n], atol=1e-5)
    order = np.argsort(values[:, 0])
    assert (np.diff(thin[order, 0]) >= -1e-7).all()


def test_missing_and_infinite_scores_and_a_choice_of_tracks():
    background = np.stack([np.arange(100), np.arange(100) * 10], axis=1).astype(np.float32)
    lookup = lookup_of(background, names=(("t1", "."),))
    quantiles, tails = lookup(np.array([[np.nan], [np.inf], [-np.inf], [495]], np.float32))
    np.testing.assert_allclose(quantiles[:, 0], [np.nan, 1, 0, 0.5])
    np.testing.assert_allclose(tails[:, 0], [np.nan, np.log10(101), 0, -np.log10(51 / 101)], atol=1e-6)
    with pytest.raises(InputError, match=r"does not have: t7 \(\+\)"):
        lookup_of(background, names=(("t7", "+"),))


@settings(max_examples=40)
@given(
    breaks=hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 17)), elements=WHOLE),
    values=hnp.arrays(np.float32, st.tuples(st.integers(1, 5)), elements=WHOLE | st.just(np.inf) | st.just(0.5)),
)
def test_insertion_is_that_of_numpy(breaks, values):
    breaks = np.sort(breaks, axis=1)
    tracks = np.arange(len(values)) % len(breaks)
    for right in (False, True):
        expected = [
            np.searchsorted(breaks[t], v, side="right" if right else "left")
            for t, v in zip(tracks, values, strict=True)
        ]
        np.testing.assert_array_equal(insertion(breaks, values, tracks, right), expected)


def test_lookup_of_the_reference():
    """Left insertion point, the last probability beyond all."""
    breaks = np.array([[0, 1, 1, 2], [10, 20, 30, 40]], np.float32)
    probabilities = np.array([-0.9, -0.1, 0.1, 0.99])
    values = np.array([[1, 25], [-5, 41], [np.nan, 10], [2, 40]], np.float32)
    found = reference_quantiles(breaks, probabilities, values)
    np.testing.assert_allclose(found, [[-0.1, 0.1], [-0.9, 0.99], [np.nan, -0.9], [0.99, 0.99]], atol=1e-7)
    lookup = lookup_of(np.array([[1, 2, 2, 4]], np.float32).T, signed=True, parity=True)
    np.testing.assert_allclose(lookup(np.array([[2], [3], [9]], np.float32))[0][:, 0], [-0.25, 0.75, 0.75])


def test_an_extrapolated_tail_only_speaks_beyond_the_background():
    random = np.random.default_rng(2)
    n = 4000
    background = genpareto.rvs(0.15, size=(n, 2), random_state=random).astype(np.float32)
    background[:, 1] *= -1
    largest = float(background[:, 0].max())
    values = np.array([[largest * f, -1] for f in (0.2, 1, 1.3, 1.8, 1e6)], np.float32)
    plain, guess = lookup_of(background)(values)[1], lookup_of(background, tail="pareto")(values)[1]
    np.testing.assert_allclose(guess[:2], plain[:2])
    assert (plain[2:, 0] == np.float32(np.log10(n + 1))).all()
    assert (np.diff(guess[2:, 0]) > 0).all()
    truth = -np.log10(genpareto.sf(values[2:4, 0], 0.15))
    np.testing.assert_allclose(guess[2:4, 0], truth, atol=0.6)
    assert guess[-1, 0] == pytest.approx(np.log10(n + 1) + 3)
    signed = lookup_of(background[:, :1] * random.choice([-1, 1], (n, 1)), signed=True, tail="pareto")
    far = signed(np.array([[3 * largest], [-3 * largest]], np.float32))[1]
    assert (far > np.log10((n + 1) / 2)).all()


def test_fits_that_the_scores_contradict_are_not_used():
    random = np.random.default_rng(3)
    good = np.sort(genpareto.rvs(0.2, size=(300, 200), random_state=random), axis=1).astype(np.float32)
    fit = fit_tail(good, np.full(300, 4000))
    assert fit.accepted.mean() > 0.92
    np.testing.assert_allclose(np.median(fit.shape), 0.2, atol=0.05)
    lumps = np.sort(random.choice([1.0, 2.0, 5.0], (20, 200)), axis=1).astype(np.float32)
    assert not fit_tail(lumps, np.full(20, 4000)).accepted.any()
    assert (fit_tail(lumps, np.full(20, 4000)).distance * np.sqrt(199) > CRITICAL).all()
    few = fit_tail(good[:, -20:], np.full(300, 400))
    assert not few.accepted.any()
    assert np.isnan(few.probability(np.full(3, 9.0), np.arange(3))).all()


def test_points_of_a_table():
    assert list(point_ranks(7, 3, 2)) == list(range(7))
    assert list(point_ranks(104, 5, 2)) == [0, 1, 2, 27, 52, 76, 101, 102, 103]
