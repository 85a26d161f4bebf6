from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from PIL import Image

from commons.sphere import haversine_km
from reports.geolocation import confusion
from reports.geolocation.cells import ReportCells
from reports.geolocation.confusion import confused_pairs, confusion_matrix, draw_confusion, neighbourhood_order


def grid_of_cells(west: float, side: int = 16, groups: np.ndarray | None = None) -> ReportCells:
    """side x side cells of one degree, in a random order, across the antimeridian where west + side > 180."""
    x, y = np.random.default_rng(0).permutation(np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2)).T
    longitude = (west + x + 0.5 + 180) % 360 - 180
    count = side**2
    shapes = np.array([shapely.box(*own) for own in zip(longitude - 0.5, y, longitude + 0.5, y + 1, strict=True)])
    names = np.array([f"{a}-{b}" for a, b in zip(x, y, strict=True)], dtype=object)
    return ReportCells(names, shapes, y + 0.5, longitude, np.ones(count, int), np.ones(count), groups)


def table(true: list[int], predicted: list[int]) -> pa.Table:
    return pa.table({"cell": pa.array(true, pa.int32()), "predicted_cell": pa.array(predicted, pa.int32())})


@pytest.mark.parametrize("west", [10.0, 172.0])
def test_neighbours_in_the_order_are_neighbours_on_the_ground(west: float):
    """Along a Hilbert curve over a square of 2^n cells each cell touches the next one."""
    cells = grid_of_cells(west)
    order = neighbourhood_order(cells)
    assert sorted(order) == list(range(256))
    steps = haversine_km(
        cells.latitude[order[1:]], cells.longitude[order[1:]], cells.latitude[order[:-1]], cells.longitude[order[:-1]]
    )
    assert np.median(steps) < 112 and steps.mean() < 150  # a degree is 111 km; a random order gives about 850


def test_cells_of_one_coarser_cell_follow_each_other():
    groups = np.random.default_rng(1).integers(0, 5, 256)
    order = neighbourhood_order(grid_of_cells(0.0, groups=groups))
    assert sorted(order) == list(range(256)) and (np.diff(groups[order]) != 0).sum() == 4


def test_pairs_are_counted_by_direction():
    cells = grid_of_cells(0.0, side=2)
    far = [int(haversine_km(cells.latitude[0], cells.longitude[0], cells.latitude, cells.longitude).argmax())]
    near = next(cell for cell in (1, 2, 3) if cell != far[0])
    true, predicted = [0, 0, 0, 0, near, far[0], -1, 0], [near, near, 0, far[0], 0, far[0], 0, -1]
    found = confused_pairs(table(true, predicted), cells)
    assert [(own.true, own.predicted, own.photos, own.share) for own in found][0] == (0, near, 2, 50.0)
    assert [own[:2] for own in found[1:]] == [(0, far[0]), (near, 0)] and found[1].km > found[2].km
    assert confused_pairs(table([0], [0]), cells) == []
    assert len(confused_pairs(table(true, predicted), cells, most=1)) == 1


def test_matrix_by_hand_and_with_cells_together(cells: ReportCells, monkeypatch: pytest.MonkeyPatch):
    own = table([0, 0, 1, 2, 2, -1, 1], [0, 2, 1, 1, 1, 0, -1])
    order = np.array([2, 0, 1])
    assert confusion_matrix(own, cells, order).tolist() == [[0, 0, 2], [1, 1, 0], [0, 0, 1]]
    monkeypatch.setattr(confusion, "MOST_ROWS", 2)
    assert confusion_matrix(own, cells, order).tolist() == [[2, 2], [0, 1]]  # 2 and 0 together, then 1


def test_picture(tmp_path: Path, predictions: pa.Table, cells: ReportCells):
    for name, own in (("a", cells), ("b", replace(cells, groups=None))):
        draw_confusion(predictions, own, tmp_path / f"{name}.png")
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        assert a.size == b.size == (1170, 1040)
        one = tuple(round(255 * value) for value in confusion.COLOURS(0)[:3])
        drawn = np.asarray(a.convert("RGB"))
        assert (np.abs(drawn.astype(int) - one).max(axis=2) <= 1).sum() > 4 * 200**2  # four cells of the matrix
        assert (drawn != np.asarray(b.convert("RGB"))).any()  # the border of the coarser cell


def test_picture_without_a_photo_in_a_cell(tmp_path: Path, predictions: pa.Table, cells: ReportCells):
    draw_confusion(predictions.slice(4), cells, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
