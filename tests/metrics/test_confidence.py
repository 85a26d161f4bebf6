import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import auc, average_precision_score

from metrics.confidence import (
    confidence_figures,
    confidence_measures,
    descriptor_distances,
    l2_confidence,
    pa_score,
    precision_and_recall,
    spatial_uncertainty,
)


def test_distances_are_those_of_unit_descriptors():
    draw = np.random.default_rng(0)
    first, second = (own / np.linalg.norm(own, axis=1, keepdims=True) for own in draw.standard_normal((2, 9, 16)))
    cosines = (first * second).sum(axis=1)
    assert descriptor_distances(cosines) == pytest.approx(np.linalg.norm(first - second, axis=1))
    assert descriptor_distances(np.float32([1.0000001, 1, 0, -1])) == pytest.approx([0, 0, 2**0.5, 2])


def test_l2_and_pa_score_by_hand():
    similarities = np.array([[0.98, 0.92, 0.5], [0.5, 0.5, 0.1], [1, 1, 0.2], [1, 0.5, 0.5], [0.5, 0.98, 0.92]])
    assert l2_confidence(similarities) == pytest.approx([-0.2, -1, 0, 0, -1])
    # The last row is re-ranked: its rival is the nearest of the others.
    assert pa_score(similarities) == pytest.approx([-0.2 / 0.4, -1, -1, 0, -1 / 0.2])
    assert pa_score(np.array([[0.5], [0.9]])).tolist() == [0, 0]


def test_sue_by_hand():
    """Two predictions of equal similarity 10 m apart: the mean is 5 m from both."""
    positions = np.array([[[500_000.0, 4_000_000.0], [500_010.0, 4_000_000.0], [0.0, 0.0]]])
    similarities = np.array([[0.9, 0.9, -1.0]])
    assert spatial_uncertainty(similarities, positions) == pytest.approx([5])
    # Weights 1/4 and 3/4: exp(-slope d) with d = 1 and 1 + log(3) / slope.
    near, far = 1.0, 1.0 + np.log(3) / 2
    similarities = np.array([[1 - near**2 / 2, 1 - far**2 / 2]])
    assert spatial_uncertainty(similarities, positions[:, :2], slope=2.0) == pytest.approx([10 * (3 / 16) ** 0.5])


def test_sue_against_the_formula_in_three_dimensions():
    draw = np.random.default_rng(0)
    similarities, positions = -np.sort(-draw.uniform(0.5, 0.9, (20, 8))), draw.uniform(0, 900, (20, 8, 3))
    for slope in (1.0, 350.0):
        for query in range(20):
            weights = softmax(-slope * np.sqrt(2 - 2 * similarities[query]))
            covariance = np.cov(positions[query].T, aweights=weights, ddof=0)
            found = spatial_uncertainty(similarities[[query]], positions[[query]], slope)
            assert found == pytest.approx([np.trace(covariance) ** 0.5], abs=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sue_does_not_underflow(kind: type):
    """exp(-350 * 0.8) is 0 in float32, so that the plain formula divides 0 by 0."""
    similarities = np.full((1, 3), 1 - 0.8**2 / 2, kind)
    assert np.exp(np.float32(-350 * 0.8)) == 0
    positions = np.array([[[0, 0], [0, 30], [30, 0]]], kind)
    assert spatial_uncertainty(similarities, positions) == pytest.approx([20])
    assert np.isfinite(spatial_uncertainty(np.full((1, 3), -1, kind), positions)).all()


def test_sue_without_some_positions():
    positions = np.array([[[np.nan, np.nan], [0, 0], [6, 8]], [[np.nan] * 2] * 3, [[1, 1], [np.nan] * 2, [np.nan] * 2]])
    similarities = np.array([[0.9, 0.5, 0.5]] * 3)
    found = spatial_uncertainty(similarities, positions)
    assert found[[0, 2]] == pytest.approx([5, 0]) and np.isnan(found[1])


def plain_figures(correct: np.ndarray, confidence: np.ndarray) -> tuple[float, float]:
    """Area and recall at 100 % precision, threshold by threshold."""
    area, before, full = 0.0, 0.0, 0.0
    for threshold in sorted(set(confidence), reverse=True):
        accepted = confidence >= threshold
        precision, recall = correct[accepted].mean(), correct[accepted].sum() / correct.sum()
        area += (recall - before) * precision
        before = recall
        full = max(full, recall) if precision == 1 else full
    return 100 * area, 100 * full


def test_figures_by_hand():
    correct, confidence = np.array([1, 1, 0, 1], bool), np.array([0.9, 0.8, 0.7, 0.1])
    figures = confidence_figures(correct, {"x": confidence, "equal": np.ones(4), "wrong": -confidence})
    assert figures["x"] == pytest.approx({"AUC-PR": 100 * (2 / 3 + 1 / 3 * 3 / 4), "R@100P": 200 / 3})
    assert figures["equal"] == {"AUC-PR": 75, "R@100P": 0}
    assert figures["wrong"]["R@100P"] == pytest.approx(100 / 3)


def test_figures_against_a_plain_version_and_scikit_learn():
    draw = np.random.default_rng(0)
    for _ in range(20):
        correct, confidence = draw.random(30) < 0.6, draw.integers(0, 12, 30) / 7
        (figures,) = confidence_figures(correct, {"x": confidence}).values()
        assert tuple(figures.values()) == pytest.approx(plain_figures(correct, confidence))
        assert figures["AUC-PR"] == pytest.approx(100 * average_precision_score(correct, confidence))
        precision, recall = precision_and_recall(correct, confidence)
        assert abs(auc(recall, precision) - figures["AUC-PR"] / 100) < 0.1  # trapezes instead of steps


def test_nothing_right_has_no_figures():
    assert confidence_figures(np.zeros(3, bool), {"x": np.arange(3.0)}) == {}
    assert confidence_figures(np.ones(3, bool), {"x": np.arange(3.0)})["x"] == {"AUC-PR": 100, "R@100P": 100}


def test_measures_that_are_unknown_are_left_out():
    similarities, unknown = np.array([[0.9, 0.5], [0.8, 0.7]]), np.full(2, np.nan)
    plain = confidence_measures(similarities, unknown, np.array([0.4, 0.1]))
    assert list(plain) == ["L2", "PA-score", "margin", "random"]
    assert list(confidence_measures(similarities, unknown, unknown, np.array([3, -1]), unknown)) == list(plain)
    whole = confidence_measures(similarities, np.array([4, np.nan]), unknown, np.array([3, 0]), np.array([0.1, 0.2]))
    assert list(whole) == ["L2", "PA-score", "SUE", "margin", "inliers", "probability", "random"]
    assert whole["SUE"].tolist() == [-4, -np.inf]
    assert confidence_figures(np.array([True, False]), whole)["SUE"] == {"AUC-PR": 100, "R@100P": 100}
    assert np.array_equal(plain["random"], whole["random"])
    assert confidence_measures(similarities[:0], unknown[:0], unknown[:0])["L2"].shape == (0,)
