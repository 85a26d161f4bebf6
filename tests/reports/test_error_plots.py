from pathlib import Path

import pytest
from PIL import Image

from reports import error_plots
from reports.error_bins import Bin, Section
from reports.error_plots import save_error_plot

TIME = Section("Time of day", "time", [Bin("day", 10, 8, 9, 49.0, 94.3), Bin("night", 4, 1, 2, 4.6, 69.9)])
SECTIONS = [TIME, Section("Condition", "condition", [], "unknown")]


def test_bars_are_recalls_with_their_intervals(monkeypatch: pytest.MonkeyPatch):
    """By hand: 8 of 10 and 1 of 4 at the first prediction, 9 of 10 and 2 of 4 among the first five."""
    kept = []
    monkeypatch.setattr(error_plots, "save_figure", lambda figure, picture: kept.append(figure))
    save_error_plot(SECTIONS, 64.3, Path("x"))
    drawn, empty = kept[0].axes
    assert not empty.axison
    assert [bar.get_height() for bar in drawn.patches] == [90, 50, 80, 25]
    (interval,) = drawn.collections
    ends = [path.vertices[:, 1].tolist() for path in interval.get_paths()]
    assert ends == [pytest.approx([49.0, 94.3]), pytest.approx([4.6, 69.9])]
    assert drawn.lines[-1].get_ydata() == [64.3, 64.3]
    assert [tick.get_text() for tick in drawn.get_xticklabels()] == ["day\n10 queries", "night\n4 queries"]


def test_picture_is_a_png(tmp_path: Path):
    save_error_plot(SECTIONS, 64.3, tmp_path / "errors.png")
    with Image.open(tmp_path / "errors.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1625, 481))
