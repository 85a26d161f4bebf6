from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from metrics.confidence import confidence_figures
from reports import confidence
from reports.confidence import confidence_markdown, save_precision_recall, save_skipping_curves

FIGURES = {"random": {"AUC-PR": 50.0, "R@100P": 0.0}, "L2": {"AUC-PR": 80.25, "R@100P": 12.5}}


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Keeps the figures that are saved from now on."""
    figures = []
    save = confidence.save_figure
    monkeypatch.setattr(
        confidence, "save_figure", lambda figure, picture: (figures.append(figure), save(figure, picture))
    )
    return figures


def test_markdown():
    assert (
        confidence_markdown("x/test", FIGURES, {"fitted_to": "x/val", "brier": 0.1234, "ece": 0.05})
        == """\
## x/test

| confidence | AUC-PR | R@100P |
| :-- | --: | --: |
| L2 | 80.2 | 12.5 |
| random | 50.0 | 0.0 |

Probability: calibrated on x/val, Brier score 0.123, expected calibration error 0.050.
"""
    )
    assert "Probability" not in confidence_markdown("x/test", FIGURES)


def test_a_curve_for_each_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    figures = drawn(monkeypatch)
    correct = np.array([1, 1, 0, 1], bool)
    measures = {"random": np.array([1.0, 2, 3, 4]), "L2": np.array([0.9, 0.8, 0.7, 0.1])}
    save_precision_recall(correct, measures, confidence_figures(correct, measures), tmp_path / "a.png")
    (axes,) = figures[0].axes
    best, random = axes.lines
    assert (best.get_label(), random.get_label()) == ("L2: 91.7", "random: 80.6")
    assert best.get_xdata() == pytest.approx([100, 200 / 3, 200 / 3, 100 / 3, 0])
    assert best.get_ydata() == pytest.approx([75, 200 / 3, 100, 100, 100])
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 5


def test_the_share_that_was_chosen_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    figures = drawn(monkeypatch)
    whole = {"curve": [[100.0, 50.0], [50.0, 60.0], [0.0, 55.0]], "skipped_share": 50.0}
    part = {"curve": [(100.0, 40.0), (70.0, 48.0)], "skipped_share": 70.0}
    save_skipping_curves({"val": whole, "test": part}, tmp_path / "a.png")
    lines = figures[0].axes[0].lines
    assert [line.get_label() for line in lines[::2]] == ["val", "test"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines[1::2]] == [(50, 60), (70, 48)]
    assert (tmp_path / "a.png").is_file()
