import numpy as np
import pytest
from pyproj import Geod, Transformer

from commons.errors import ArgumentError
from datasets.tiles.mercator import check_latitudes, crop_matrices, from_world, to_world, world_per_metre


def test_world_coordinates_are_those_of_epsg_3857():
    latitude, longitude = np.array([-80.0, -33.0, 0.0, 42.0, 84.0]), np.array([-179.0, 18.0, 0.0, -71.0, 25.0])
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(longitude, latitude)
    half = np.pi * 6_378_137
    x, y = to_world(latitude, longitude)
    assert np.allclose(x, (east + half) / (2 * half), atol=1e-12)
    assert np.allclose(y, (half - north) / (2 * half), atol=1e-12)
    assert np.allclose(from_world(x, y), (latitude, longitude), atol=1e-10)


@pytest.mark.parametrize("latitude", [-55.0, 0.0, 42.36, 69.0])
def test_pixels_lie_where_geodesics_lead(latitude: float):
    """Corners of a crop 614 m wide, the widest of the published pyramid, against pyproj's direct geodesics."""
    size, metres, bearing = 384, 1.6, 37.0
    matrix = crop_matrices(*(np.array([value]) for value in (latitude, 11.0, bearing, metres)), size)[0]
    geod = Geod(ellps="WGS84")
    for right, up in ((-1, 1), (1, 1), (1, -1), (-1, -1), (0, 1), (1, 0), (0, 0)):
        place = np.array([size / 2 * (1 + right), size / 2 * (1 - up), 1])
        lat, lon = from_world(*(matrix @ place))
        distance = size / 2 * metres * np.hypot(right, up)
        wanted = geod.fwd(11.0, latitude, bearing + np.degrees(np.arctan2(right, up)), distance)
        assert geod.inv(lon, lat, *wanted[:2])[2] < 0.05


def test_the_scale_is_that_of_the_ellipsoid():
    """At the equator a metre is 1 / 40,075,017 of the world to the east; along the meridian 0.67 % more."""
    east, south = world_per_metre(np.array(0.0))
    assert 1 / east == pytest.approx(40_075_016.69, abs=0.01)
    assert south / east == pytest.approx(1 / (1 - 0.00669438), abs=1e-7)


@pytest.mark.parametrize("wrong", [85.2, -90.0, np.nan])
def test_positions_without_a_map_are_refused(wrong: float):
    with pytest.raises(ArgumentError, match=r"position 2 .* \(1 such positions of 2\)"):
        check_latitudes(np.array([1.0, wrong]), np.array([2.0, 3.0]))
