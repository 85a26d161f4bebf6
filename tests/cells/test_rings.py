import numpy as np
import pytest

from cells.polygons import areas_km2
from cells.rings import great_circles, polygon_of_box, polygon_of_ring
from commons.sphere import to_degrees, unit_vectors


def test_a_ring_across_the_antimeridian_is_cut():
    shape = polygon_of_ring(np.array([0, 0, 10, 10.0]), np.array([175, -175, -175, 175.0]))
    assert shape.is_valid and shape.area == pytest.approx(100) and shape.bounds == (-180, 0, 180, 10)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ring_around_a_pole_holds_it(sign: int):
    """The cap north of 60 degrees has (1 - sin 60) / 2 of the sphere, and about as much of the ellipsoid."""
    longitude = np.arange(0, 360, 5.0)
    shape = polygon_of_ring(np.full(72, 60.0 * sign), longitude if sign > 0 else longitude[::-1])
    assert shape.is_valid and shape.area == pytest.approx(360 * 30)
    assert areas_km2(np.array([shape]))[0] == pytest.approx((1 - 3**0.5 / 2) / 2 * 510_065_622, rel=0.01)


def test_a_corner_at_a_pole():
    shape = polygon_of_ring(np.array([0.0, 0, 90]), np.array([10.0, 100, -123]))
    assert shape.is_valid and shape.area == pytest.approx(90 * 90)


def test_boxes():
    assert polygon_of_box(-10, -30, 20, 40).bounds == (-30, -10, 40, 20)
    shape = polygon_of_box(0, 170, 10, 200)
    assert shape.area == pytest.approx(300) and shape.bounds == (-180, 0, 180, 10)


def test_great_circles_have_points_between_corners():
    points = great_circles(unit_vectors(np.array([0, 0, 90.0]), np.array([0, 90, 0.0])), 2)
    latitude, longitude = to_degrees(points)
    assert latitude == pytest.approx([0, 0, 0, 45, 90, 45], abs=1e-9)
    assert longitude[[0, 1, 2, 3, 5]] == pytest.approx([0, 45, 90, 90, 0], abs=1e-9)
