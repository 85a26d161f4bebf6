import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metrics.calibration import Calibration, calibration_figures, fit_calibration, from_record


def drawn(count: int = 300) -> tuple[dict[str, np.ndarray], np.ndarray]:
    draw = np.random.default_rng(0)
    a, b = draw.normal(3, 2, count), draw.normal(0, 1e-3, count)
    return {"a": a, "b": b, "other": draw.random(count)}, draw.random(count) < 1 / (1 + np.exp(3 - a - 900 * b))


def test_equals_scikit_learns_pipeline():
    measures, correct = drawn()
    found = fit_calibration(measures, correct, ["a", "b"])
    values = np.stack([measures["a"], measures["b"]], axis=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(values, correct)
    assert found.probability(measures) == pytest.approx(model.predict_proba(values)[:, 1], abs=1e-6)
    assert calibration_figures(found.probability(measures), correct)["ece"] < 0.06


def test_formula_by_hand():
    own = Calibration(("x", "y"), (1.0, 0.0), (2.0, 1.0), (1.0, -3.0), 0.5)
    assert own.probability({"x": np.array([3.0]), "y": np.array([0.5])}) == pytest.approx([1 / (1 + np.exp(0.0))])
    assert own.probability({"x": np.array([np.nan]), "y": np.array([-np.inf])}) == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_record_is_json_and_comes_back():
    measures, correct = drawn()
    found = fit_calibration(measures, correct, ["b", "other"])
    assert from_record(json.loads(json.dumps(found.record()))) == found
    with pytest.raises(ValueError, match="one number"):
        from_record(found.record() | {"means": [1.0]})


@pytest.mark.parametrize(("right", "share"), [([True] * 8, 0.9), ([False] * 8, 0.1), ([], 0.5)])
def test_where_all_are_right_or_all_are_wrong(right: list[bool], share: float):
    values = {"x": np.arange(float(len(right)))}
    found = fit_calibration(values, np.array(right, bool), ["x"])
    assert found.probability({"x": np.array([-5.0, 99.0])}) == pytest.approx([share, share])


def test_unknown_and_constant_measures_raise_nothing_and_count_as_the_mean():
    correct = np.array([True, False, True, False])
    measures = {"x": np.array([2.0, 0.0, np.nan, -np.inf]), "same": np.ones(4)}
    found = fit_calibration(measures, correct, ["x", "same"])
    assert found.means == (1.0, 1.0) and found.scales[1] == 1
    assert np.isfinite(found.probability(measures)).all()


def test_figures_by_hand():
    probability, correct = np.array([0.1, 0.15, 0.95, 1.0]), np.array([False, True, True, True])
    found = calibration_figures(probability, correct)
    assert found["brier"] == pytest.approx((0.01 + 0.85**2 + 0.05**2 + 0) / 4)
    assert found["ece"] == pytest.approx((abs(0.25 - 1) + abs(1.95 - 2)) / 4)  # bins from 0.1 and from 0.9
    assert calibration_figures(np.zeros(0), np.zeros(0, bool)) == {}


def test_figures_against_scikit_learn():
    draw = np.random.default_rng(0)
    probability = draw.random(400)
    correct = draw.random(400) < probability**2
    found = calibration_figures(probability, correct)
    assert found["brier"] == pytest.approx(brier_score_loss(correct, probability))
    share, mean = calibration_curve(correct, probability, n_bins=10)
    sizes = np.histogram(probability, np.linspace(0, 1, 11))[0]
    assert found["ece"] == pytest.approx((sizes * abs(share - mean)).sum() / 400)
