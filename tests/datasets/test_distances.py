from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import PlacewiseError
from datasets import distances as module
from datasets.distances import (
    all_near,
    distance_rule,
    nearest_alike,
    nearest_in_space,
    pair_distances,
    share_utm,
    within,
)
from datasets.geodesy import from_utm, to_utm
from datasets.places import Places, make_places


def table(**columns: list) -> Places:
    """Places named 0.jpg, 1.jpg, ... with these columns."""
    size = len(next(iter(columns.values())))
    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    return make_places(Path("."), pa.array([f"{i}.jpg" for i in range(size)]), **arrays)


def test_distance_in_one_zone_is_pythagoras():
    a = table(utm_east=[100], utm_north=[200], utm_zone=[31])
    b = table(utm_east=[103, 100], utm_north=[204, 225], utm_zone=[31, 31])
    assert pair_distances(a, b, np.array([[0, 1, -1]])).tolist() == [[5, 25, np.inf]]
    metres, rows = nearest_in_space(a, b, k=3)
    assert metres.tolist() == [[5, 25, np.inf]]
    assert rows.tolist() == [[0, 1, -1]]


def test_distance_across_a_zone_border():
    """0.002 degrees of longitude at 52.2 N across the border at 6 E are that many times a cos / sqrt(1 - e2 sin2).

    Within a zone UTM's scale comes in, which is 0.9996 (1 + D^2 / 2 R^2) = 1.00012 at D = 205 km from its middle.
    """
    a, b = table(latitude=[52.2], longitude=[5.999]), table(latitude=[52.2, 52.2], longitude=[6.001, 5.9995])
    assert set(a.utm_zone) | set(b.utm_zone) == {31, 32}
    radius = 6378137 / np.sqrt(1 - 0.00669438 * np.sin(np.radians(52.2)) ** 2) * np.cos(np.radians(52.2))
    expected = radius * np.radians([0.002, 0.0005]) * [1, 1.00012]
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
    with pytest.raises(PlacewiseError, match="0.jpg .* has no UTM zone, .* zones 31, 32"):
        nearest_in_space(query, database)


def test_a_place_without_zone_cannot_be_compared_with_places_near_a_pole():
    with pytest.raises(PlacewiseError, match="0.jpg .* has no UTM zone, .* are near a pole"):
        nearest_in_space(table(utm_east=[100], utm_north=[200]), table(latitude=[89], longitude=[1]))


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


def test_places_of_one_zone_or_without_zone_share_utm():
    one, other = (table(utm_east=[1.0], utm_north=[2.0], utm_zone=[zone]) for zone in (31, 32))
    polar = table(latitude=[89.0], longitude=[3.0])
    assert share_utm(one, one) and share_utm(one, table(utm_east=[1.0], utm_north=[2.0]))
    assert not share_utm(one, other) and not share_utm(one, polar) and not share_utm(polar, polar)


def border_city(digits: int | None = None, zero: bool = False) -> tuple[Places, Places]:
    """Four places in zone 31, four in zone 32 at 45 N, and queries 20 m east of them.

    Names say it: UTM, zone, and degrees rounded to `digits` decimals, or 0, 0.
    """
    longitude = np.array([5.9, 5.91, 5.92, 5.93, 6.07, 6.08, 6.09, 6.1])
    east, north, zone = to_utm(np.full(8, 45.0), longitude)
    tables = []
    for shift in (0, 20):
        degrees = from_utm(east + shift, north, zone)
        degrees = [np.zeros(8) if zero else np.round(column, digits) for column in degrees] if digits or zero else []
        tables.append(
            make_places(Path("."), pa.array([f"{i}.jpg" for i in range(8)]), east + shift, north, zone, *degrees)
        )
    return tables[1], tables[0]


@pytest.mark.parametrize("given", [{}, {"digits": 3}, {"digits": 5}, {"zero": True}])
def test_pairs_of_one_zone_are_compared_in_utm_whatever_else_is_in_the_set(given: dict):
    queries, database = border_city(**given)
    metres, rows = nearest_in_space(queries, database, 2)
    assert rows[:, 0].tolist() == list(range(8))
    assert metres[:, 0] == pytest.approx(np.full(8, 20), abs=1e-6)
    assert pair_distances(queries, database, rows) == pytest.approx(metres, abs=1e-6)
    # Places 3 and 4 lie on either side of the border, 0.14 degrees apart, the query of 3 20 m (1.8e-4 degrees) nearer.
    across = pair_distances(queries, database, np.full((8, 1), 4))[3, 0]
    radius = 6378137 / np.sqrt(1 - 0.00669438 * 0.5) * np.sqrt(0.5)
    assert across == pytest.approx(radius * np.radians(0.14) - 20, abs=0.05)


def test_nearest_places_across_zones_equal_all_distances_sorted():
    """Around a zone border on the equator and around the pole, where four zones and none meet."""
    draw = np.random.default_rng(0)
    latitude = np.concatenate([draw.normal(0, 0.002, 150), 90 - draw.uniform(0, 0.01, 50), draw.uniform(-90, 90, 50)])
    longitude = np.concatenate([draw.normal(6, 0.002, 150), draw.uniform(-180, 180, 100)])
    order = draw.permutation(250)
    both = table(latitude=latitude[order], longitude=longitude[order])
    queries, database = both.take(np.arange(100)), both.take(np.arange(100, 250))
    every = pair_distances(queries, database, np.tile(np.arange(150), (100, 1)))
    metres, rows = nearest_in_space(queries, database, 5)
    assert metres == pytest.approx(np.sort(every, axis=1)[:, :5], rel=1e-9, abs=1e-6)
    assert np.take_along_axis(every, rows, 1) == pytest.approx(metres, rel=1e-9, abs=1e-6)


def test_distances_over_the_antimeridian_and_the_pole():
    """0.02 degrees along the equator are 2226.4 m; 0.01 degrees on either side of the pole 2 x 1116.9 m."""
    a, b = table(latitude=[0, 89.99], longitude=[179.99, 0]), table(latitude=[0, 89.99], longitude=[-179.99, 180])
    assert pair_distances(a, b, np.array([[0], [1]]))[:, 0] == pytest.approx([2226.39, 2233.88], abs=0.05)
    metres, rows = nearest_in_space(a, b)
    assert rows.tolist() == [[0], [1]] and metres[:, 0] == pytest.approx([2226.39, 2233.88], abs=0.05)


def test_more_neighbours_than_places_across_zones():
    a, b = table(latitude=[0.0], longitude=[5.999]), table(latitude=[0, 0, np.nan], longitude=[6.001, 5.998, 1])
    metres, rows = nearest_in_space(a, b, 4)
    assert rows.tolist() == [[1, 0, -1, -1]]
    assert np.isinf(metres[0, 2:]).all() and metres[0, :2] == pytest.approx([111.3, 222.6], abs=0.3)


def test_the_rule_in_words():
    one, south = (table(utm_east=[1.0], utm_north=[2.0], utm_zone=[zone]) for zone in (31, -56))
    none = table(utm_east=[1.0], utm_north=[2.0])
    assert distance_rule(one, none) == "metres: UTM, zone 31N" and distance_rule(south) == "metres: UTM, zone 56S"
    assert distance_rule(none) == "metres: UTM, no zone named"
    assert distance_rule(one, south).startswith("metres: UTM within a zone, on the ground")


def test_all_near_looks_at_the_ends_of_large_tables():
    database = table(utm_east=[*np.linspace(0, 10, 2000), 40], utm_north=[0] * 2001, utm_zone=[31] * 2001)
    query = table(utm_east=[5], utm_north=[0], utm_zone=[31])
    assert not all_near(query, database, 25) and all_near(query, database, 35)
    assert not all_near(query, query, 25) and not all_near(table(utm_east=[np.nan], utm_north=[0]), database, 35)


@pytest.mark.parametrize("zones", [[10], [10, 11], [0]])
def test_all_places_within_a_distance(zones: list[int]):
    """Against every pair; places lie in one zone, on both sides of a border, or name no zone."""
    draw = np.random.default_rng(0)
    tables = []
    for size in (700, 40):
        metres = draw.uniform(0, 300, (size, 2)).round(0)
        zone = np.array(zones)[draw.integers(0, len(zones), size)]
        east = np.where(zone == 11, 166_000, 833_800) + metres[:, 0]
        tables.append(make_places(Path("x"), pa.array(list(map(str, range(size)))), east, 100 + metres[:, 1], zone))
    queries, database = tables
    found = list(within(queries, database, 25))
    every = pair_distances(queries, database, np.tile(np.arange(40), (700, 1)))
    assert sum(map(len, found)) > 100
    for row, own in zip(every, found, strict=True):
        order = np.argsort(row, kind="stable")
        assert own.tolist() == order[row[order] <= 25].tolist()


def test_nothing_is_within_a_distance_of_a_place_that_is_unknown():
    nowhere = make_places(Path("x"), pa.array(["a"]))
    somewhere = make_places(Path("x"), pa.array(["b"]), np.array([1.0]), np.array([2.0]))
    assert [rows.tolist() for rows in within(nowhere, somewhere, 25)] == [[]]
    assert [rows.tolist() for rows in within(somewhere, nowhere, 25)] == [[]]
