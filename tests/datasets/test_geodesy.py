import numpy as np
import pytest

from datasets.geodesy import EARTH_RADIUS, earth_centred, from_utm, ground_distance, to_utm


def test_utm_equals_known_points():
    """Statue of Liberty and Sydney Opera House, by Krueger's series to the fifth order in double precision."""
    east, north, zone = to_utm(np.array([40.689247, -33.857198]), np.array([-74.044502, 151.215123]))
    assert zone.tolist() == [18, -56]
    assert east == pytest.approx([580735.645, 334884.960], abs=0.01)
    assert north == pytest.approx([4504700.381, 6252244.332], abs=0.01)


def test_round_trip_through_utm():
    lat, lon = np.array([52.2, -33.9, 10.0, 84.0, -80.0]), np.array([0.12, 151.2, -179.9, 180.0, -180.0])
    latitude, longitude = from_utm(*to_utm(lat, lon))
    assert latitude == pytest.approx(lat, abs=1e-6)
    assert np.mod(longitude, 360) == pytest.approx(np.mod(lon, 360), abs=1e-6)  # -180 and 180 are one meridian


def test_utm_ends_before_the_poles_and_is_unknown_where_degrees_are():
    east, north, zone = to_utm(np.array([84.1, -80.1, 90, -90, np.nan, 0]), np.array([0.0, 0, 0, 0, 0, np.nan]))
    assert np.isnan(east).all() and np.isnan(north).all() and not zone.any()
    assert np.isnan(from_utm(np.array([5e5, np.nan]), np.array([4e6, 4e6]), np.array([0, 31]))).all()


def test_the_antimeridian_lies_in_zone_1_and_the_equator_in_the_north():
    assert to_utm(np.array([0.0, -1, 10]), np.array([180.0, -180, 179.9]))[2].tolist() == [1, -1, 60]


def test_earth_centred_points():
    """The poles are 6,356,752.314 m from the centre, the equator 6,378,137 m; longitudes -180 and 180 are one point."""
    points = earth_centred(np.array([90.0, -90, 0, 0, 0]), np.array([123.0, 0, 90, -180, 180]))
    expected = [[0, 0, 6356752.314], [0, 0, -6356752.314], [0, 6378137, 0], [-6378137, 0, 0], [-6378137, 0, 0]]
    assert points == pytest.approx(np.array(expected), abs=0.001)


def test_ground_distance_follows_a_great_circle():
    chords = np.array([0, EARTH_RADIUS, 2 * EARTH_RADIUS, 2 * EARTH_RADIUS + 1, np.inf])
    expected = [0, np.pi / 3 * EARTH_RADIUS, np.pi * EARTH_RADIUS, np.pi * EARTH_RADIUS, np.inf]
    assert ground_distance(chords) == pytest.approx(expected)
    assert np.isnan(ground_distance(np.array([np.nan]))).all()
