from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from metrics.metric import Metric
from reports import tuning
from reports.tuning import TrialResult, best_first, save_tuning_plot, tuning_table

ERROR = Metric("mean km", higher_is_better=False)
TRIALS = [
    TrialResult(0, "complete", {"lr": 0.00123456, "batch_size": 16, "optimizer": "adam"}, 40.0, 2, 3, 90.0),
    TrialResult(1, "stopped", {"lr": 0.5, "batch_size": 16, "optimizer": "sgd"}, 20.0, 0, 1, 30.0),
    TrialResult(2, "failed", {"lr": 1e-5, "batch_size": 32, "optimizer": "adam"}, None, 0, 0, 6.0),
    TrialResult(3, "complete", {"lr": 0.01, "batch_size": 8, "optimizer": "adam"}, 30.0, 1, 3, 95.0),
]


def test_the_best_complete_trial_comes_first():
    assert [trial.number for trial in best_first(TRIALS, ERROR)] == [3, 0, 1, 2]
    assert [trial.number for trial in best_first(TRIALS, Metric("R@1"))] == [0, 3, 1, 2]


def test_table():
    assert tuning_table(TRIALS, ERROR) == [
        ["trial", "lr", "batch_size", "optimizer", "validation mean km", "best epoch", "epochs", "minutes", "state"],
        ["3", "0.01", "8", "adam", "30.0", "1", "3", "1.6", "complete"],
        ["0", "0.00123", "16", "adam", "40.0", "2", "3", "1.5", "complete"],
        ["1", "0.5", "16", "sgd", "20.0", "0", "1", "0.5", "stopped"],
        ["2", "1e-05", "32", "adam", "–", "–", "0", "0.1", "failed"],
    ]


def test_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []

    class Kept(Figure):
        def __init__(self, **options):
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(tuning, "Figure", Kept)
    with matplotlib.rc_context():
        save_tuning_plot(TRIALS, ERROR, ["lr"], tmp_path / "tune.png")
    history, lr, batch_size, optimizer, *empty = made[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in history.lines}
    assert lines["complete"] == [[0, 40], [3, 30]] and lines["stopped"] == [[1, 20]]
    assert lines["best so far"] == [[0, 40], [3, 30]]
    assert [axes.get_xlabel() for axes in (lr, batch_size, optimizer)] == ["lr", "batch_size", "optimizer"]
    assert lr.get_xscale() == "log" and batch_size.get_xscale() == "linear"
    stars = [line.get_xydata().tolist() for axes in (history, lr) for line in axes.lines if line.get_marker() == "*"]
    assert stars == [[[3, 30]], [[0.01, 30]]]
    assert [label.get_text() for label in optimizer.get_xticklabels()] == ["adam", "sgd"]
    assert all(not axes.axison for axes in empty)
    with Image.open(tmp_path / "tune.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_without_results_the_plot_says_so(tmp_path: Path):
    save_tuning_plot(TRIALS[2:3], ERROR, [], tmp_path / "tune.png")
    assert (tmp_path / "tune.png").stat().st_size > 1000
    assert tuning_table([], ERROR)[0][0] == "trial"
