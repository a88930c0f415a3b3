"""Figures whose windows can be drawn again: exactly what the drawn data would give."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.sequence import encode
from ag_data.genome_store import reverse_complement_codes
from ag_eval.metrics import Estimate, auprc, top_k
from ag_eval.peers.splice_matrices import SHIPPED, log_odds, read_matrices
from ag_eval.results import Case, make_results
from ag_eval.tracks.points import TrackPoints, attach_points
from ag_eval.tracks.questions import gc_content, middle_bins
from ag_eval.tracks.ranked_points import rank_cases
from ag_eval.tracks.splicing import by_matrices, canonical
from ag_eval.tracks.sums import TrackMetrics
from ag_eval.tracks.window_sums import WindowMeans, WindowSums, draw_windows

WINDOWS = 5


def planted(seed=0, tracks=3):
    random = np.random.default_rng(seed)
    truth = (100 + random.gamma(0.5, 3.0, (WINDOWS, 40, tracks))).astype(np.float32)
    truth[random.random(truth.shape) < 0.1] = np.nan
    return truth, (np.nan_to_num(truth) + random.gamma(1.0, 1.0, truth.shape)).astype(np.float32)


@pytest.mark.parametrize("raw", [False, True])
def test_totals_are_those_of_track_metrics(raw):
    truth, guess = planted()
    whole, sums = TrackMetrics(3, float32_raw_sums=raw), WindowSums(3, raw=raw)
    for number, (one, two) in enumerate(zip(truth, guess, strict=True)):
        whole.update(one[None], two[None])
        sums.add(number, one, two)
    np.testing.assert_array_equal(sums.pearson(), whole.values()["pearsonr"])
    for mine, name in zip(sums.errors(), ("mse", "mae"), strict=True):
        np.testing.assert_array_equal(mine, whole.values()[name])
    assert (sums.draw_pearson(draw_windows(np.ones(WINDOWS, bool), 5)) is None) == raw


def test_draws_of_sums_and_means_are_those_of_the_drawn_data():
    truth, guess = planted(1)
    seen = np.array([True, True, False, True, True])
    sums, means = WindowSums(3), WindowMeans()
    for number in np.flatnonzero(seen):
        sums.add(int(number), truth[number], guess[number])
        means.add(int(number), np.where(number == 3, np.nan, truth[number, 0]))
    draws = draw_windows(seen, 20)
    assert (draws.sum(axis=1) == 4).all()
    assert not draws[:, 2].any()
    pearson, (mse, mae), mean = sums.draw_pearson(draws), sums.draw_errors(draws), means.draw_mean(draws)
    for number, often in enumerate(draws):
        rows = np.repeat(np.arange(WINDOWS), often)
        again = TrackMetrics(3)
        again.update(truth[rows], guess[rows])
        expected = again.values()
        for found, name in ((pearson, "pearsonr"), (mse, "mse"), (mae, "mae")):
            np.testing.assert_allclose(found[number], expected[name], rtol=1e-9)
        there = truth[rows[rows != 3], 0]
        np.testing.assert_allclose(mean[number], np.nanmean(there, axis=0) if len(there) else np.nan, rtol=1e-6)


def test_one_window_has_no_interval_and_flat_tracks_no_correlation():
    assert not len(draw_windows(np.array([False, True]), 10))
    sums = WindowSums(1)
    for number in range(3):
        sums.add(number, np.full((9, 1), 0.1, np.float32), np.linspace(0, 1, 9, dtype=np.float32)[:, None])
    assert np.isnan(sums.pearson()).all()
    assert np.isnan(sums.draw_pearson(draw_windows(np.ones(3, bool), 4))).all()


@pytest.mark.parametrize("metric", [auprc, top_k])
def test_rankings_are_those_of_all_cases(metric):
    random = np.random.default_rng(2)
    labels = random.random(3000) < 0.02
    scores = np.round(random.normal(labels * 1.0, 1), 2)  # with ties
    windows = random.integers(0, 6, 3000)
    ranked = rank_cases(labels, scores, windows)
    assert len(ranked.labels) < 1200
    assert ranked.measure(metric) == pytest.approx(metric(labels, scores), rel=1e-12)
    draws = draw_windows(np.ones(6, bool), 8)
    expected = [metric(labels, scores, often[windows]) for often in draws]
    np.testing.assert_allclose(ranked.draw(metric, draws), expected, rtol=1e-12)
    assert np.isnan(rank_cases(np.zeros(4, bool), np.arange(4.0), np.zeros(4, int)).measure(metric))
    with pytest.raises(InputError, match="1 of 4 predictions are NaN"):
        rank_cases(np.ones(4, bool), np.array([1, 2, np.nan, 3]), np.zeros(4, int))


def test_top_k_shares_what_is_tied():
    assert top_k(np.array([1, 1, 0, 0]), np.array([4, 1, 3, 2])) == 0.5
    # One of two tied cases is among the two best.
    assert top_k(np.array([1, 1, 0]), np.array([2, 1, 1])) == 0.75
    assert np.isnan(top_k(np.zeros(3), np.arange(3)))
    labels, scores = np.array([1, 0, 1, 0, 0]), np.array([5, 4, 3, 2, 1])
    weights = np.array([1, 2, 3, 0, 1])
    assert top_k(labels, scores, weights) == pytest.approx(
        top_k(np.repeat(labels, weights), np.repeat(scores, weights))
    )


def test_g_and_c_are_counted_around_bins():
    codes = np.random.default_rng(0).integers(0, 5, 4096).astype(np.uint8)
    found = gc_content(codes, 32)
    for number in (0, 50, 127):
        middle = 32 * number + 16
        around = codes[max(middle - 512, 0) : middle + 512]
        assert found[number] == pytest.approx(np.isin(around, (1, 2)).mean())
    assert middle_bins(64, 1000, 32) == slice(16, 48)
    assert middle_bins(64, None, 32) == slice(0, 64)


def test_canonical_sites_are_the_same_on_either_strand():
    codes = np.random.default_rng(0).integers(0, 4, 400).astype(np.uint8)
    codes[100:106] = [0, 2, 2, 3, 0, 2]  # AG|GT AG: a donor at 101
    found = canonical(codes)
    assert found[101].tolist() == [1, 0, 0, 0]
    turned = canonical(np.ascontiguousarray(3 - codes[::-1]))[::-1][:, [2, 3, 0, 1]]
    np.testing.assert_array_equal(found, turned)
    # The base after AG is an acceptor.
    assert found[106, 1] == 1


def test_points_are_few_and_come_from_all_windows():
    points, case = TrackPoints(4, most=400), Case("b", "m", "g", "toy", Estimate(0.0, 0.0, 0.0))
    for window in range(4):
        target = np.arange(1000.0)
        target[:500] = np.nan
        points.add(window, target, {"model": np.arange(1000.0)})
    results = attach_points(make_results([case]), [points, points], {"model": "toy"}, most=300)
    assert results.sizes["row"] == 300
    assert results["predictor"].values.tolist() == ["toy"]
    assert set(results["block"].values) == {0, 1, 2, 3}
    np.testing.assert_array_equal(results["target"].values, results["score"].values[0])
    # Too few positives for a curve.
    rare = TrackPoints(1)
    rare.add(0, np.arange(1000) < 9, {"model": np.arange(1000.0)})
    assert "row" not in attach_points(make_results([case]), [rare], {}).sizes


def test_matrices_find_sites_of_both_strands_where_they_lie():
    """Consensus sites amid A, and turned over: each class has its best base at the exonic base beside the intron."""
    donor, acceptor = "CAGGTAAGT", "T" * 18 + "CAGGT"
    text = "A" * 40 + donor + "A" * 60 + acceptor + "A" * 40
    odds = log_odds(read_matrices(SHIPPED), 0)
    places = {"donor": 40 + 2, "acceptor": 40 + len(donor) + 60 + 21}
    forward = by_matrices(encode(text), odds)
    assert forward[:, :2].argmax(axis=0).tolist() == [places["donor"], places["acceptor"]]
    backward = by_matrices(reverse_complement_codes(encode(text)), odds)
    np.testing.assert_allclose(backward, forward[::-1, [2, 3, 0, 1]], atol=1e-5)
