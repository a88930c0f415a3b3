import numpy as np
import pytest
import scipy.stats
from ag_eval.metrics import (
    Estimate,
    auprc,
    auroc,
    bootstrap,
    bootstrap_median,
    paired,
    pearson,
    spearman,
)
from hypothesis import given
from hypothesis import strategies as st

METRICS = [auroc, auprc, pearson, spearman]
CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("labels", "scores", "area", "precision"),
    [
        ([1, 1, 0, 0], [4, 3, 2, 1], 1.0, 1.0),
        ([0, 0, 1, 1], [4, 3, 2, 1], 0.0, (1 / 3 + 2 / 4) / 2),
        ([1, 0, 1, 0], [4, 3, 2, 1], 0.75, (1 + 2 / 3) / 2),
        ([1, 0, 1, 0], [1, 1, 1, 1], 0.5, 0.5),
        ([1, 0, 0, 1], [0.8, 0.8, 0.1, 0.1], 0.5, 0.5 * 0.5 + 0.5 * 0.5),
    ],
)
def test_literal_areas(labels, scores, area, precision):
    assert auroc(np.array(labels), np.array(scores)) == pytest.approx(area)
    assert auprc(np.array(labels), np.array(scores)) == pytest.approx(precision)


@given(CASES)
def test_auroc_is_the_mann_whitney_statistic(cases):
    labels, scores, _ = (np.array(column) for column in zip(*cases, strict=True))
    if labels.all() or not labels.any():
        assert np.isnan(auroc(labels, scores))
        return
    statistic = scipy.stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
    assert auroc(labels, scores) == pytest.approx(statistic / (labels.sum() * (~labels).sum()))


def test_correlations_equal_scipys():
    random = np.random.default_rng(0)
    x = random.normal(size=200) + 1e6
    y = np.round(x - 1e6 + random.normal(size=200), 1)
    assert pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-9)
    assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    assert pearson(np.array([1, 2, 3]), np.array([2, 4, 7])) == pytest.approx(0.9933992677987828)
    assert spearman(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 40])) == pytest.approx(0.8)


@given(CASES)
def test_weights_are_repeats(cases):
    labels, scores, weights = (np.array(column, float) for column in zip(*cases, strict=True))
    repeated = np.repeat(labels, weights.astype(int)), np.repeat(scores, weights.astype(int))
    if len(repeated[0]):
        for metric in METRICS:
            np.testing.assert_allclose(metric(labels, scores, weights), metric(*repeated), atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_undefined_is_nan(metric):
    assert np.isnan(metric(np.zeros(4), np.arange(4)))
    assert np.isnan(metric(np.array([]), np.array([])))


def test_constant_values_have_no_correlation():
    assert np.isnan(pearson(np.full(3, 0.1), np.arange(3)))
    assert np.isnan(spearman(np.arange(3), np.full(3, 0.1)))


@pytest.mark.parametrize("metric", METRICS)
def test_nan_is_refused_and_paired_leaves_it_out(metric):
    x, y = np.array([0, 1, 1, np.nan]), np.array([1, 2, np.nan, 4])
    with pytest.raises(ValueError, match=r"2 NaN among 4 cases; leave them out with `paired`"):
        metric(x, y)
    kept, missing = paired(x, y)
    assert (kept.tolist(), missing) == ([True, True, False, False], 2)
    assert metric(x[kept], y[kept]) == 1


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"shapes \(3,\), \(2,\) and weights \(3,\); expected one length"):
        auroc(np.zeros(3), np.zeros(2))


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    hits = 0
    for seed in range(60):
        x = random.normal(size=60)
        y = 0.6 * x + 0.8 * random.normal(size=60)
        estimate = bootstrap(pearson, x, y, repeats=200, level=0.9, seed=seed)
        assert estimate.low <= estimate.value <= estimate.high
        hits += estimate.low <= 0.6 <= estimate.high
    assert 45 <= hits <= 60


def test_bootstrap_is_reproducible_and_draws_blocks_together():
    random = np.random.default_rng(2)
    x = random.normal(size=20)
    y = x + random.normal(size=20)
    alone = bootstrap(pearson, x, y, seed=3)
    assert alone == bootstrap(pearson, x, y, seed=3)
    # Ten copies of each case add no information, if the blocks say so.
    copies = bootstrap(pearson, np.tile(x, 10), np.tile(y, 10), blocks=np.tile(np.arange(20), 10), seed=3)
    assert copies == pytest.approx(alone)
    naive = bootstrap(pearson, np.tile(x, 10), np.tile(y, 10), seed=3)
    assert naive.high - naive.low < 0.5 * (alone.high - alone.low)


def test_bootstrap_without_a_defined_draw_has_no_limits():
    estimate = bootstrap(auroc, np.zeros(5), np.arange(5), repeats=10)
    assert np.isnan(estimate).all()
    assert np.isnan(bootstrap(auroc, np.array([]), np.array([])).value)
    once = bootstrap(auroc, np.array([0, 1]), np.array([0, 1]), repeats=0)
    assert once.value == 1
    assert np.isnan(once.low)


def test_bootstrap_median_leaves_out_nan():
    estimate = bootstrap_median(np.array([1.0, np.nan, 3, 2]))
    assert estimate.value == 2
    assert 1 <= estimate.low <= 2 <= estimate.high <= 3
    assert np.isnan(bootstrap_median(np.array([np.nan]))).all()
    assert isinstance(estimate, Estimate)
