from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports import lr_range_plot
from reports.lr_range_plot import save_lr_range_plot


def test_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []

    class Kept(Figure):
        def __init__(self, **options):
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(lr_range_plot, "Figure", Kept)
    rates, losses = np.geomspace(1e-4, 1.0, 5), np.array([5.0, 4.0, 2.0, 3.0, 900.0])
    smoothed = np.array([np.nan, 4.0, 2.5, 3.0, 500.0])
    save_lr_range_plot(rates, losses, smoothed, {"steepest": 1, "smallest": 2}, tmp_path / "range.png")
    (axes,) = made[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["steepest: 0.001"] == [[pytest.approx(1e-3), 4.0]]
    assert lines["smallest: 0.01"] == [[pytest.approx(1e-2), 2.5]]
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] < 2.0
    with Image.open(tmp_path / "range.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
