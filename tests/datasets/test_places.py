from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import PlacewiseError
from datasets import places as module
from datasets.places import (
    latitude_longitude,
    make_places,
    metric_coordinates,
    nearest_alike,
    nearest_in_space,
    pair_distances,
    to_utm,
)


def table(**columns: list) -> object:
    size = len(next(iter(columns.values())))
    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    return make_places(Path("."), pa.array([f"{i}.jpg" for i in range(size)]), **arrays)


def test_utm_equals_known_points():
    """Statue of Liberty and Sydney Opera House, by Krueger's series to the fifth order in double precision."""
    east, north, zone = to_utm(np.array([40.689247, -33.857198]), np.array([-74.044502, 151.215123]))
    assert zone.tolist() == [18, -56]
    assert east == pytest.approx([580735.645, 334884.960], abs=0.01)
    assert north == pytest.approx([4504700.381, 6252244.332], abs=0.01)


def test_round_trip_through_utm():
    lat, lon = np.array([52.2, -33.9, 10.0]), np.array([0.12, 151.2, -179.9])
    places = table(latitude=lat, longitude=lon)
    stripped = make_places(Path("."), places.names, places.utm_east, places.utm_north, places.utm_zone)
    assert np.allclose(latitude_longitude(stripped), [lat, lon], atol=1e-6)


def test_heading_is_taken_modulo_360():
    assert table(utm_east=[0, 0, 0], utm_north=[0, 0, 0], heading=[-10, 360, 725]).heading.tolist() == [350, 0, 5]


def test_distance_in_one_zone_is_pythagoras():
    a = table(utm_east=[100], utm_north=[200], utm_zone=[31])
    b = table(utm_east=[103, 100], utm_north=[204, 225], utm_zone=[31, 31])
    assert pair_distances(a, b, np.array([[0, 1, -1]])).tolist() == [[5, 25, np.inf]]
    metres, rows = nearest_in_space(a, b, k=3)
    assert metres.tolist() == [[5, 25, np.inf]]
    assert rows.tolist() == [[0, 1, -1]]


def test_distance_across_a_zone_border():
    """0.002 degrees of longitude at 52.2 N across the border at 6 E are that many times a cos / sqrt(1 - e2 sin2)."""
    a, b = table(latitude=[52.2], longitude=[5.999]), table(latitude=[52.2, 52.2], longitude=[6.001, 5.9995])
    assert set(a.utm_zone) | set(b.utm_zone) == {31, 32}
    radius = 6378137 / np.sqrt(1 - 0.00669438 * np.sin(np.radians(52.2)) ** 2) * np.cos(np.radians(52.2))
    expected = radius * np.radians([0.002, 0.0005])
    assert pair_distances(a, b, np.array([[0, 1]]))[0] == pytest.approx(expected, abs=0.001)
    metres, rows = nearest_in_space(a, b)
    assert rows.tolist() == [[1]]
    assert metres[0, 0] == pytest.approx(expected[1], abs=0.001)


def test_far_distances_follow_the_ground():
    """A quarter of a sphere of mean radius is 10,007.5 km, though the straight line is 9,009 km."""
    a, b = table(latitude=[0.0], longitude=[0.0]), table(latitude=[0.0], longitude=[90.0])
    assert pair_distances(a, b, np.array([[0]]))[0, 0] == pytest.approx(10_007_543, rel=0.003)


def test_unknown_positions_are_never_near():
    a = table(utm_east=[0, np.nan], utm_north=[0, np.nan])
    b = table(utm_east=[np.nan, 3], utm_north=[np.nan, 4])
    metres, rows = nearest_in_space(a, b)
    assert metres.tolist() == [[5], [np.inf]]
    assert rows.tolist() == [[1], [-1]]
    assert pair_distances(a, b, np.array([[0, 1], [0, 1]])).tolist() == [[np.inf, 5], [np.inf, np.inf]]


def test_one_zone_uses_utm_and_two_use_the_globe():
    one = table(utm_east=[1.0], utm_north=[2.0], utm_zone=[31])
    other = table(utm_east=[1.0], utm_north=[2.0], utm_zone=[32])
    assert metric_coordinates(one, one)[0].shape == (1, 2)
    assert metric_coordinates(one, other)[0].shape == (1, 3)


def test_a_place_without_zone_lies_in_the_zone_of_the_others():
    query = table(utm_east=[100], utm_north=[200])
    database = table(utm_east=[103], utm_north=[204], utm_zone=[31])
    assert pair_distances(query, database, np.array([[0]])).tolist() == [[5]]
    assert nearest_in_space(query, database)[0].tolist() == [[5]]


def test_a_place_without_zone_among_several_zones_is_named():
    query, database = (
        table(utm_east=[100], utm_north=[200]),
        table(utm_east=[1, 2], utm_north=[3, 4], utm_zone=[31, 32]),
    )
    with pytest.raises(PlacewiseError, match="0.jpg .* names no UTM zone, .* zones 31, 32"):
        nearest_in_space(query, database)


@pytest.mark.parametrize(("latitude", "longitude"), [(151.2, -33.8), (10, 200), (89, 0), (-82.5, 27.9)])
def test_positions_off_the_map_are_named(latitude: float, longitude: float):
    with pytest.raises(PlacewiseError, match="1.jpg: .* swapped"):
        table(latitude=[10, latitude], longitude=[10, longitude])


def test_given_columns_are_not_written_to():
    """They may lie in a file that is mapped for reading."""
    east = np.array([1.0, np.nan])
    east.flags.writeable = False
    degrees = np.array([np.nan, 52.2])
    places = make_places(Path("."), pa.array(["a", "b"]), east, east, latitude=degrees, longitude=degrees)
    assert places.located.all() and np.isnan(east[1])


def test_take_keeps_columns_together():
    places = table(utm_east=[1, 2, 3], utm_north=[4, 5, 6], heading=[7, 8, 9]).take(np.array([2, 0]))
    assert [places.path(i).name for i in range(2)] == ["2.jpg", "0.jpg"]
    assert places.utm_east.tolist() == [3, 1]
    assert places.heading.tolist() == [9, 7]


def test_nearest_alike_sees_every_crop_of_a_panorama():
    """Pitts30k cuts 24 out of one."""
    crops = table(utm_east=[5] * 24, utm_north=[5] * 24, utm_zone=[31] * 24, heading=range(0, 360, 15))
    queries = table(utm_east=[5] * 24, utm_north=[5] * 24, utm_zone=[31] * 24, heading=range(2, 362, 15))
    _, rows, turns = nearest_alike(queries, crops)
    assert rows.tolist() == list(range(24))
    assert turns.tolist() == [2] * 24


def test_nearest_alike_prefers_the_same_heading_among_equally_near():
    east = np.array([0.0, 0.04, 10, 0.2])
    database = make_places(Path("d"), pa.array(list("abcd")), east, np.zeros(4), heading=np.array([90, 350, 0, 0]))
    queries = make_places(
        Path("q"),
        pa.array(list("xyz")),
        np.array([0.0, 9, np.nan]),
        np.zeros(3),
        heading=np.array([20, np.nan, 5]),
    )
    metres, rows, turn = nearest_alike(queries, database)
    assert rows.tolist() == [1, 2, -1]
    assert metres.tolist() == pytest.approx([0.04, 1, np.inf])
    assert turn.tolist() == pytest.approx([30, np.nan, np.nan], nan_ok=True)


def test_nearest_alike_stays_within_the_threshold_and_looks_10_cm_farther():
    database = table(utm_east=[24.96, 25.04, 40], utm_north=[0] * 3, utm_zone=[31] * 3, heading=[180, 0, 0])
    query = table(utm_east=[0], utm_north=[0], utm_zone=[31], heading=[0])
    assert nearest_alike(query, database)[1].tolist() == [1]
    assert nearest_alike(query, database, 25.0)[1].tolist() == [0]
    near = table(utm_east=[5.04, 5.06], utm_north=[0] * 2, utm_zone=[31] * 2, heading=[180, 0])
    assert nearest_alike(query, near, 25.0)[1].tolist() == [1]


def test_distances_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch):
    queries = table(utm_east=range(7), utm_north=[0] * 7, utm_zone=[31] * 7)
    neighbours = np.arange(14).reshape(7, 2) % 8 - 1
    whole = pair_distances(queries, queries, neighbours)
    monkeypatch.setattr(module, "BLOCK", 3)
    assert np.array_equal(pair_distances(queries, queries, neighbours), whole)
    assert whole[0].tolist() == [np.inf, 0] and whole[3, 1] == 3
