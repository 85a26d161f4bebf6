"""The confidence section of a report, from evaluations that are drawn."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metrics.calibration import from_record
from metrics.confidence import confidence_figures
from reports.predictions_table import load_predictions_table
from tasks.confidence import report_confidence
from tasks.measuring import Evaluation
from tasks.predictions import keep_predictions
from tasks.signals import measures_of
from tests.tasks.test_reranking import evaluation
from tools.confidence import measures_of as measures_of_table


def drawn(seed: int, inliers: bool = True) -> Evaluation:
    """Returns 120 queries with 12 predictions; those with more inliers and a larger margin are more often right."""
    draw = np.random.default_rng(seed)
    right = draw.random((120, 12)) < 0.3
    predictions = np.stack([draw.permutation(30)[:12] for _ in range(120)])
    similarities = -np.sort(-draw.uniform(0.1, 0.7, (120, 12)), axis=1)
    similarities[:, 0] += np.where(right[:, 0], draw.uniform(0, 0.3, 120), 0)
    own = evaluation(predictions, similarities, right)
    counts = np.where(right[:, :5], draw.integers(10, 60, (120, 5)), draw.integers(0, 25, (120, 5)))
    return replace(own, inliers=counts.astype(np.int32) if inliers else None)


def test_a_calibration_of_the_validation_set_is_applied_to_the_test_set(tmp_path: Path):
    sets = {"x/val": drawn(0), "x/test": drawn(1)}
    folders = {"x/val": tmp_path / "val", "x/test": tmp_path / "test"}
    results, probabilities = report_confidence(sets, {"x/val"}, tmp_path, folders)
    assert list(probabilities) == ["x/test"]
    record = json.loads((tmp_path / "calibration.json").read_text())
    assert record["fitted_to"] == "x/val" and record["names"] == ["L2", "PA-score", "SUE", "margin", "inliers"]
    test = sets["x/test"]
    right = test.distances[:, 0] <= 25
    measures = measures_of(test)
    assert probabilities["x/test"] == pytest.approx(from_record(record).probability(measures))
    expected = confidence_figures(right, measures | {"probability": probabilities["x/test"]})
    assert results["x/test"]["confidence"] == expected
    assert expected["probability"]["AUC-PR"] > expected["random"]["AUC-PR"] + 20
    assert results["x/test"]["calibration"]["fitted_to"] == "x/val"
    assert results["x/test"]["calibration"]["ece"] < 0.15
    assert "calibration" not in results["x/val"] and "probability" not in results["x/val"]["confidence"]
    assert all((folder / "confidence.png").is_file() for folder in folders.values())
    json.dumps(results, allow_nan=False)


def test_the_table_of_predictions_gives_the_same_measures(tmp_path: Path):
    own = drawn(2)
    file = tmp_path / "predictions.parquet"
    keep_predictions(own, "x/test", file, np.linspace(0, 1, 120), "x/val")
    table, about = load_predictions_table(file)
    assert about["calibrated_on"] == "x/val"
    assert table["inliers"][0].as_py() == own.inliers[0].tolist()
    found, expected = measures_of_table(table), measures_of(own, np.linspace(0, 1, 120))
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-5, abs=1e-6)


def test_without_a_validation_set_nothing_is_calibrated(tmp_path: Path):
    results, probabilities = report_confidence({"x": drawn(0, inliers=False)}, set(), tmp_path, {"x": tmp_path})
    assert probabilities == {} and list(results["x"]) == ["confidence"]
    assert "inliers" not in results["x"]["confidence"]
    assert [path.name for path in tmp_path.iterdir()] == ["confidence.png"]


def test_a_test_set_without_what_the_calibration_looks_at_has_no_probabilities(tmp_path: Path):
    sets = {"val": drawn(0), "test": drawn(1, inliers=False)}
    _, probabilities = report_confidence(sets, {"val"}, tmp_path, dict.fromkeys(sets, tmp_path))
    assert probabilities == {}


def test_nothing_right_nothing_labelled_and_no_queries(tmp_path: Path):
    own = drawn(0)
    sets = {
        "wrong": replace(own, distances=np.full_like(own.distances, 99)),
        "unlabelled": replace(own, distances=None),
        "empty": replace(
            own,
            queries=own.queries.take(np.zeros(0, int)),
            **{name: getattr(own, name)[:0] for name in ("predictions", "similarities", "distances", "inliers")},
        ),
    }
    results, _ = report_confidence(sets, set(), tmp_path, dict.fromkeys(sets, tmp_path))
    assert results == {"wrong": {"confidence": {}}}
    assert list(tmp_path.iterdir()) == []
