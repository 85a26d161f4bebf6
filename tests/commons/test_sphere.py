import math

import numpy as np
import pytest
from pyproj import Geod

from commons import sphere
from commons.errors import PlacewiseError

QUARTER = math.pi / 2 * 6371.0088  # kilometres from a pole to the equator


def random_points(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return sphere.to_degrees(np.random.default_rng(seed).normal(size=(count, 3)))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0), (0, 90), QUARTER),
        ((90, 17), (0, -130), QUARTER),
        ((90, 0), (90, 123), 0),
        ((90, 5), (-90, 77), 2 * QUARTER),
        ((0, 179.5), (0, -179.5), QUARTER / 90),
        ((60, 0), (60, 180), QUARTER * 2 / 3),  # over the pole
        ((12.5, 7.25), (12.5, 7.25), 0),
        ((0, 0), (0, 180), 2 * QUARTER),
    ],
)
def test_distances_worked_by_hand(first: tuple[float, float], second: tuple[float, float], expected: float):
    assert sphere.haversine_km(*first, *second) == pytest.approx(expected, abs=1e-6)
    chord = np.linalg.norm(sphere.unit_vectors(*first) - sphere.unit_vectors(*second))
    assert sphere.chord_to_km(chord) == pytest.approx(expected, abs=1e-4)
    assert sphere.km_to_chord(expected) == pytest.approx(chord, abs=1e-9)


def test_distances_equal_those_of_pyproj_on_a_sphere():
    (lat, lon), (other_lat, other_lon) = random_points(1000), random_points(1000, 1)
    radius = sphere.EARTH_RADIUS_KM * 1000
    expected = Geod(a=radius, b=radius).inv(lon, lat, other_lon, other_lat)[2] / 1000
    np.testing.assert_allclose(sphere.haversine_km(lat, lon, other_lat, other_lon), expected, atol=1e-6)


def test_vectors_and_back():
    lat, lon = random_points(1000)
    found = sphere.to_degrees(3 * sphere.unit_vectors(lat, lon))
    np.testing.assert_allclose(found, (lat, lon), atol=1e-12)
    np.testing.assert_allclose(sphere.unit_vectors(np.array([0, 0, 90]), np.array([0, 90, 33])), np.eye(3), atol=1e-15)


def test_means_cross_the_antimeridian_and_the_pole():
    lat = np.array([10.0, 10, 80, 80, 80, 80, 0, 0, 50])
    lon = np.array([179.0, -179, 0, 90, 180, -90, 0, 180, 5])
    groups = np.array([0, 0, 1, 1, 1, 1, 2, 2, -1])
    found_lat, found_lon = sphere.spherical_means(lat, lon, groups, 4)
    assert abs(found_lon[0]) == pytest.approx(180) and found_lat[0] == pytest.approx(10, abs=0.01)
    assert found_lat[1] == pytest.approx(90)
    assert np.isnan(found_lat[2:]).all()  # points that cancel out, and no point


def test_local_kilometres():
    origin = (np.array(55.0), np.array(12.0))
    for lat, lon, east, north in ((55, 12, 0, 0), (55.1, 12, 0, QUARTER / 900), (54, 12, 0, -QUARTER / 90)):
        assert sphere.to_local_km(lat, lon, *origin) == pytest.approx((east, north), abs=1e-6)
    lat, lon = random_points(500)
    other_lat, other_lon = random_points(500, 1)
    east, north = sphere.to_local_km(lat, lon, other_lat, other_lon)
    np.testing.assert_allclose(np.hypot(east, north), sphere.haversine_km(lat, lon, other_lat, other_lon), atol=1e-6)
    azimuth = Geod(a=1.0, b=1.0).inv(other_lon, other_lat, lon, lat)[0]
    np.testing.assert_allclose(np.degrees(np.arctan2(east, north)), azimuth, atol=1e-7)
    np.testing.assert_allclose(sphere.from_local_km(east, north, other_lat, other_lon), (lat, lon), atol=1e-9)


def test_checked_degrees():
    lat, lon = sphere.check_degrees([1, np.nan, 90, 5], [359, 3, 180, np.inf])
    np.testing.assert_array_equal(lat, [1, np.nan, 90, np.nan])
    np.testing.assert_array_equal(lon, [-1, np.nan, -180, np.nan])
    with pytest.raises(PlacewiseError, match=r"row 2: latitude 122.5, .* \(1 such rows of 2\).*are they swapped\?"):
        sphere.check_degrees([37, 122.5], [-122.5, 37])
    with pytest.raises(PlacewiseError, match="two columns of the same length"):
        sphere.check_degrees([1, 2], [3])
