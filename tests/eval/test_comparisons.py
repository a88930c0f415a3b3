"""Paired differences: their intervals cover, what does not differ is not significant; many tests at once."""

import numpy as np
import pytest
from ag_eval.comparisons import adjusted, difference, relative_gain
from ag_eval.metrics import auroc, bootstrap, pearson


def test_a_better_predictor_is_told_from_an_equal_one():
    random = np.random.default_rng(0)
    target = random.normal(size=300)
    good, poor = target + random.normal(size=300), target + 4 * random.normal(size=300)
    found = difference(pearson, target, good, poor, repeats=300)
    assert found.estimate.value == pytest.approx(pearson(target, good) - pearson(target, poor))
    assert found.estimate.low > 0
    assert found.p == pytest.approx(1 / 301)
    same = difference(pearson, target, good, good, repeats=50)
    assert (same.estimate.value, same.p) == (0, 1)
    swapped = difference(pearson, target, poor, good, repeats=300)
    assert swapped.estimate.value == -found.estimate.value


def test_the_pair_shares_its_draws():
    """Two predictors that differ by little are told apart although each interval alone is wide."""
    random = np.random.default_rng(1)
    target = random.normal(size=60)
    one = target + 2 * random.normal(size=60)
    other = one + 0.2 * random.normal(size=60)
    found = difference(pearson, target, one, other, repeats=300).estimate
    alone = bootstrap(pearson, target, one, repeats=300)
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_one_class_has_no_difference():
    found = difference(auroc, np.ones(5), np.arange(5.0), np.arange(5.0), repeats=5)
    assert np.isnan(found.estimate.value)
    assert np.isnan(found.p)


def test_many_tests_and_gains():
    np.testing.assert_allclose(adjusted([0.01, np.nan, 0.02, 0.5]), [0.03, np.nan, 0.03, 0.5])
    assert relative_gain(0.81, 0.747, 0.5) == pytest.approx(0.255, abs=1e-3)
    assert np.isnan(relative_gain(0.6, 0.4, 0.5))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "copies"), [(200, 1), (200, 4), (50, 4), (20, 1)])
def test_intervals_cover_what_they_should(size, copies):
    """Of 500 simulations 93-97 % hold the true correlation, also when cases come in blocks, and with few of them."""
    random, truth, inside = np.random.default_rng(7), 0.6, 0
    numbers = np.repeat(np.arange(size), copies)
    for number in range(500):
        x = random.normal(size=size)
        y = truth * x + np.sqrt(1 - truth**2) * random.normal(size=size)
        found = bootstrap(pearson, x[numbers], y[numbers], blocks=numbers, repeats=1000, seed=number)
        inside += found.low <= truth <= found.high
    assert 0.93 <= inside / 500 <= 0.97, inside / 500
