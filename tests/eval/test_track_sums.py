"""Streaming track metrics: what they say does not depend on how the data came."""

import itertools

import numpy as np
import pytest
from ag_eval.tracks.sums import TrackMetrics, crop
from hypothesis import given
from hypothesis import strategies as st


def batches(seed, tracks=3):
    random = np.random.default_rng(seed)
    truth = random.gamma(0.5, 3.0, (6, 40, tracks)).astype(np.float32)
    truth[random.random(truth.shape) < 0.1] = np.nan
    return truth, (np.nan_to_num(truth) + random.gamma(1.0, 1.0, truth.shape)).astype(np.float32)


@given(st.integers(0, 1000), st.lists(st.integers(1, 5), max_size=2))
def test_parts_merge_to_the_whole(seed, cuts):
    truth, guess = batches(seed)
    whole, parts = TrackMetrics(3), TrackMetrics(3)
    whole.update(truth, guess)
    bounds = [0, *sorted(set(cuts)), 6]
    for begin, end in itertools.pairwise(bounds):
        one = TrackMetrics(3)
        one.update(truth[begin:end], guess[begin:end])
        parts.merge(one)
    for name, values in whole.values().items():
        np.testing.assert_allclose(parts.values()[name], values, rtol=1e-12)


def test_they_equal_numpy_and_the_raw_sums_where_these_are_good():
    truth, guess = batches(0)
    metrics, raw = TrackMetrics(3), TrackMetrics(3, float32_raw_sums=True)
    for each in (metrics, raw):
        each.update(truth, guess)
    for track in range(3):
        known = ~np.isnan(truth[..., track])
        x, y = truth[..., track][known].astype(float), guess[..., track][known].astype(float)
        expected = {
            "pearsonr": np.corrcoef(x, y)[0, 1],
            "pearsonr_log1p": np.corrcoef(np.log1p(x), np.log1p(y))[0, 1],
            "mse": np.mean((x - y) ** 2),
            "mae": np.mean(np.abs(x - y)),
        }
        for name, value in expected.items():
            assert metrics.values()[name][track] == pytest.approx(value, rel=1e-6)
            assert raw.values()[name][track] == pytest.approx(value, rel=1e-3)


def test_a_large_mean_does_not_cancel():
    random = np.random.default_rng(0)
    truth = (1e4 + random.normal(size=(1, 2000, 1))).astype(np.float32)
    guess = truth + random.normal(0, 0.5, truth.shape).astype(np.float32)
    metrics, raw = TrackMetrics(1), TrackMetrics(1, float32_raw_sums=True)
    for each in (metrics, raw):
        each.update(truth, guess)
    expected = np.corrcoef(truth.ravel().astype(float), guess.ravel().astype(float))[0, 1]
    assert metrics.values()["pearsonr"][0] == pytest.approx(expected, rel=1e-6)
    assert not np.isclose(raw.values()["pearsonr"][0], expected, rtol=1e-2)


def test_masks_gaps_and_flat_tracks():
    truth, guess = batches(1)
    masked, left_out = TrackMetrics(3), TrackMetrics(3)
    mask = np.ones((6, 1, 3), bool)
    mask[:, :, 1] = False
    masked.update(truth, guess, mask)
    left_out.update(np.where(mask, truth, np.nan), guess)
    assert masked.counts[1] == 0
    assert np.isnan(masked.values()["pearsonr"][1])
    assert masked.summary() == left_out.summary()
    assert masked.summary()["mse"] == pytest.approx(np.mean(masked.values()["mse"][[0, 2]]))
    flat = TrackMetrics(1)
    flat.update(np.full((1, 50, 1), 0.1, np.float32), np.linspace(0, 1, 50, dtype=np.float32)[None, :, None])
    assert np.isnan(flat.values()["pearsonr"][0])


def test_predictions_are_cropped_in_the_middle():
    np.testing.assert_array_equal(crop(np.arange(7)[None, :, None], 4)[0, :, 0], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="3 predicted positions for 4 measured"):
        crop(np.zeros((1, 3, 1)), 4)
