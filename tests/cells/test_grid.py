import numpy as np
import pytest
import shapely

from cells.base import Points
from cells.grid import grid, grid_rows, row_columns
from cells.polygons import areas_km2
from commons.errors import ArgumentError
from tests.cells.worlds import EDGES, sphere


def test_rows_and_columns_by_hand():
    """20015 km from pole to pole: two rows of 10,000 km, whose middles at 45 degrees are 28,000 km around."""
    assert grid_rows(10_000) == 2 and row_columns(np.array([0, 1]), 10_000).tolist() == [3, 3]
    cells = grid(Points(np.array([50.0, -50, 90, -90]), np.array([-180.0, 179.9, 0, 180])), size_km=10_000)
    assert cells.names.tolist() == ["r0c0", "r0c2", "r1c0", "r1c1"]
    assert cells.centre.latitude.tolist() == [-45, -45, 45, 45]
    np.testing.assert_allclose(cells.centre.longitude, [-120, 120, -120, 0], atol=1e-9)
    assert cells.assign([-50.0, 10, 10], [0.0, 1, 100]).tolist() == [-1, 3, -1]


def test_cells_are_square_and_photos_lie_in_their_polygons():
    points = sphere(2000)
    points = Points(np.append(points.latitude, EDGES[0]), np.append(points.longitude, EDGES[1]))
    cells = grid(points, size_km=700)
    found, polygons = cells.assign(*points), cells.polygons()
    assert (found >= 0).all() and shapely.is_valid(polygons).all()
    inside = shapely.contains_xy(shapely.buffer(polygons, 1e-6)[found], *points[::-1])
    assert (inside | (points.longitude == 180)).all()
    areas = areas_km2(polygons)[np.abs(cells.centre.latitude) < 70]
    assert areas.min() > 0.85 * 700**2 and areas.max() < 1.15 * 700**2


def test_mistakes():
    with pytest.raises(ArgumentError, match="size_km=0 must be above 0"):
        grid(sphere(5), size_km=0)
    with pytest.raises(ArgumentError, match="min_images=9: no cell contains that many of the 5 photos"):
        grid(sphere(5), min_images=9)
