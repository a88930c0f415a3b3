"""Profiles, junction ratios, expression, contact maps and signs, on cases whose answers are known."""

import numpy as np
import pytest
from ag_eval.tracks.contact_metrics import insulation, insulation_correlation, map_correlation
from ag_eval.tracks.expression_metrics import across_genes, across_tracks, mean_coverage, quantile_normalised, specific
from ag_eval.tracks.junction_ratios import observed_pairs, psi3, psi5
from ag_eval.tracks.profile_metrics import log_totals, profile_distance
from ag_eval.variants.signs import sign_curve


def test_profiles_compare_shapes_alone():
    truth = np.array([[1.0, 2, 3], [1, 0, 0], [0, 0, 0]])
    guess = np.array([[10.0, 20, 30], [0, 0, 5], [1, 1, 1]])
    found = profile_distance(truth, guess)
    assert found[0] == pytest.approx(0, abs=1e-7)
    assert found[1] == pytest.approx(np.sqrt(np.log(2)))
    assert np.isnan(found[2])
    np.testing.assert_allclose(log_totals(truth), np.log1p([6, 1, 0]))
    with pytest.raises(ValueError, match="negative"):
        profile_distance(-truth, guess)


def test_ratios_of_junctions():
    counts = np.array([[[8.0], [2.0]], [[0.0], [6.0]]])
    np.testing.assert_allclose(psi5(counts)[..., 0], [[0.8, 0.2], [0, 1]])
    np.testing.assert_allclose(psi3(counts)[..., 0], [[1, 0.25], [0, 0.75]])
    assert np.isnan(psi5(np.zeros((2, 2, 1)))).all()
    labels, part = observed_pairs(counts)
    np.testing.assert_array_equal(labels[:, 0], [True, True, False, True])
    assert part.all()


def test_expression_specific_to_tracks():
    random = np.random.default_rng(0)
    values = random.normal(size=(50, 4)) + random.normal(size=(50, 1)) * 5
    normal = quantile_normalised(values)
    np.testing.assert_allclose(np.sort(normal, axis=0), np.sort(normal[:, :1], axis=0).repeat(4, axis=1))
    np.testing.assert_allclose(specific(values).mean(axis=1), 0, atol=1e-12)
    # Growing every track by its own monotone rule changes nothing.
    np.testing.assert_allclose(quantile_normalised(np.exp(values / 5)).argsort(axis=0), normal.argsort(axis=0))
    np.testing.assert_allclose(across_genes(values, 2 * values + 1), 1)
    np.testing.assert_allclose(across_tracks(values, -values), -1)
    coverage = mean_coverage(np.arange(10.0)[:, None], [(0, 2), (1, 3), (8, 20)])
    assert coverage[0] == pytest.approx((0 + 1 + 2 + 8 + 9) / 5)
    with pytest.raises(ValueError, match="no base"):
        mean_coverage(np.zeros((3, 1)), [(5, 9)])


def test_contact_maps():
    size = 12
    blocks = np.kron(np.eye(2), np.ones((6, 6)))
    found = insulation(blocks, 3)
    assert np.nanargmin(found) == 6
    assert np.isnan(found[:3]).all()
    noise = np.random.default_rng(0).normal(size=(size, size))
    assert map_correlation(blocks, blocks + 1e-3 * (noise + noise.T)) > 0.99
    assert insulation_correlation(blocks, 2 * blocks, 3) == pytest.approx(1)
    assert np.isnan(map_correlation(blocks, np.ones((size, size))))


def test_recall_at_an_accuracy_of_signs():
    effects = np.array([1.0, -1, 1, -1, 1, np.nan, 0])
    scores = np.array([9.0, -8, 7, 6, -5, 4, 3])
    curve = sign_curve(effects, scores)
    np.testing.assert_allclose(curve.recall, [0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(curve.accuracy, [1, 1, 1, 0.75, 0.6])
    assert curve.recall_at(0.9) == (pytest.approx(0.6), 7)
    assert curve.recall_at(0.7) == (pytest.approx(0.8), 6)
    assert sign_curve(effects, np.zeros(7)).recall_at(0.9)[0] == 0
