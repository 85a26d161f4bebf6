from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from reports.geolocation import errors
from reports.geolocation.cells import ReportCells
from reports.geolocation.errors import draw_accuracy, draw_errors, groups_by_region, groups_by_size


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures instead of files."""
    drawn: list[Figure] = []
    monkeypatch.setattr(errors, "save_figure", lambda figure, path: drawn.append(figure))
    return drawn


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_groups_by_size(predictions: pa.Table, cells: ReportCells):
    """Photos in cells: two in the first, one right; two in the second, one right; one in the third, right."""
    found = groups_by_size(predictions, cells.images)
    assert [(own.label, own.photos, own.right) for own in found] == [("5", 2, 1), ("50", 2, 1), ("500", 1, 1)]
    assert found[0].median_km == pytest.approx(85.1) and found[1].median_km == pytest.approx(39.5)
    assert (found[0].low, found[0].high) == pytest.approx((9.45, 90.55), abs=0.01)  # Wilson of 1 of 2
    assert [own.photos for own in groups_by_size(predictions, cells.area_km2)] == [5]
    assert groups_by_size(predictions.slice(5), cells.images) == []


def test_groups_of_many_cells_are_even():
    sizes = np.arange(1000) * 30.0
    cell = np.arange(1000, dtype=np.int32)
    table = pa.table({"cell": cell, "predicted_cell": np.zeros_like(cell), "error_km": np.ones(1000)})
    found = groups_by_size(table, sizes)
    assert len(found) == 6 and {own.photos for own in found} <= {166, 167}
    assert sum(own.right for own in found) == 1 and found[-1].label == "25k to 30k"
    assert found[0].label == "0 to 4,980"


@pytest.mark.parametrize(
    ("value", "text"),
    [(8.714, "8.71"), (354.4, "354"), (9949, "9,949"), (66_123, "66k"), (999_960, "1.0M"), (2_123_456, "2.1M")],
)
def test_sizes_in_few_characters(value: float, text: str):
    assert errors._short(value) == text


def test_groups_by_region(predictions: pa.Table):
    found = groups_by_region(predictions)
    assert [(own.label, own.photos, own.right) for own in found] == [("E", 3, 2), ("W", 2, 1)]
    encoded = predictions.set_column(11, "region", predictions["region"].dictionary_encode())
    assert groups_by_region(encoded) == found
    assert groups_by_region(predictions.drop(["region"])) == []
    countries = predictions.rename_columns([*predictions.column_names[:-1], "country"])
    assert [own.label for own in groups_by_region(countries)] == ["E", "W"]


def test_shares_within_radii_count_photos_without_an_answer(predictions: pa.Table, figures: list[Figure]):
    """Of five photos with a true position one has no answer; two are within 50 km."""
    draw_errors(predictions, (50.0, 200.0), Path("unused"))
    assert texts(figures[0]) == ["50 km\n40.0 %", "200 km\n80.0 %"]
    assert figures[0].axes[0].get_xlabel() == "error (km); 1 photos without an answer are not drawn"
    curve = figures[0].axes[1].lines[0].get_ydata()
    assert curve[-1] == 80
    assert sum(patch.get_height() for patch in figures[0].axes[0].patches) == 4


def test_no_photo_has_an_answer(predictions: pa.Table, figures: list[Figure]):
    draw_errors(predictions.slice(4), (50.0,), Path("unused"))
    assert texts(figures[0]) == ["no values yet"]


def test_accuracy(predictions: pa.Table, cells: ReportCells, figures: list[Figure], tmp_path: Path):
    draw_accuracy(predictions, cells, Path("unused"))
    assert [round(patch.get_height(), 1) for patch in figures[0].axes[0].patches] == [50, 50, 100]
    assert [round(patch.get_width(), 1) for patch in figures[0].axes[2].patches] == [66.7, 50]
    assert len(figures[0].axes) == 4 and "no values yet" not in texts(figures[0])
    draw_accuracy(predictions.drop(["region"]), cells, Path("unused"))
    assert len(figures[1].axes) == 2
    draw_accuracy(predictions.slice(5), cells, Path("unused"))
    assert texts(figures[2]) == ["no values yet"] * 2
