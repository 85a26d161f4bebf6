import numpy as np
import pytest
import shapely
from scipy.spatial import SphericalVoronoi

from cells.base import Points
from cells.polygons import areas_km2
from cells.voronoi import Voronoi
from commons.sphere import unit_vectors
from tests.cells.worlds import sphere


def test_two_centres_meet_halfway():
    voronoi = Voronoi(Points(np.array([0.0, 0.0]), np.array([10.0, 14.0])))
    west, east = voronoi.polygon(0, 1000), voronoi.polygon(1, 1000)
    assert west.bounds[2] == pytest.approx(12) == east.bounds[0]
    assert west.bounds[0] == pytest.approx(10 - 1010 / 111.195, abs=0.05)


def test_areas_equal_those_of_scipy():
    centre = sphere(60)
    areas = SphericalVoronoi(unit_vectors(*centre)).calculate_areas()
    voronoi = Voronoi(centre)
    polygons = np.array([voronoi.polygon(cell, 9000) for cell in range(60)], dtype=object)
    assert shapely.is_valid(polygons).all()
    np.testing.assert_allclose(areas_km2(polygons) / 510_065_622, areas / (4 * np.pi), rtol=0.01)


def test_a_circle_without_neighbours_and_around_a_pole():
    """A circle of 1000 km (1010 with its margin) on the earth has about pi r^2."""
    for latitude in (0.0, 60, 90, -90):
        polygon = Voronoi(Points(np.array([latitude]), np.array([179.0]))).polygon(0, 1000)
        assert areas_km2(np.array([polygon]))[0] == pytest.approx(np.pi * 1010**2, rel=0.02)
