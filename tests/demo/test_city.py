"""Geometry of the city and selection of views."""

from collections import Counter

import numpy as np
import pytest

from demo.city import ORIGIN, inset, inside_building, make_city, street_clearance
from demo.sizes import GAP_BLOCKS, SIZES, DemoSize, Plan
from demo.views import group_cells, plan_views


@pytest.fixture(scope="module")
def city():
    return make_city(SIZES["demo"].plan, 0)


@pytest.fixture(scope="module")
def views(city):
    return plan_views(city, SIZES["demo"], 0)


def table(views, folder):
    """UTM east, north and heading of a folder's views, (V, 3)."""
    return np.array([[*view.utm, view.camera.heading] for view in views if view.folder == folder])


def test_same_seed_same_city(city):
    again, other = make_city(SIZES["demo"].plan, 0), make_city(SIZES["demo"].plan, 1)
    for part in ("streets", "blocks", "walls", "buildings", "props"):
        for key, value in getattr(city, part).items():
            assert np.array_equal(value, getattr(again, part)[key]), (part, key)
    assert not np.array_equal(city.streets["a"], other.streets["a"])


def test_inset_of_a_square():
    square = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    expected = [[4, 1], [8, 1], [8, 7], [4, 7]]
    np.testing.assert_allclose(inset(square, np.array([1.0, 2, 3, 4])), expected)


def test_walls_face_outwards(city):
    centre = city.buildings["footprint"].mean(1)[city.walls["building"]]
    edge, to = city.walls["q"] - city.walls["p"], centre - city.walls["p"]
    assert (edge[:, 0] * to[:, 1] - edge[:, 1] * to[:, 0] > 0).all()


def test_inside_building_and_clearance(city):
    assert inside_building(city, city.buildings["footprint"][5].mean(0))
    middle = (city.streets["a"][3] + city.streets["b"][3]) / 2
    assert not inside_building(city, middle)
    assert street_clearance(city, middle) == pytest.approx(city.streets["road"][3])


def test_quarters_lie_apart(city, views):
    places = {q: np.concatenate([table(views, f) for f in {v.folder for v in views if v.folder.startswith(q)}])
              for q in ("train", "val", "test")}  # fmt: skip
    assert GAP_BLOCKS >= 2
    for one, two in (("train", "val"), ("train", "test"), ("val", "test")):
        apart = np.linalg.norm(places[one][:, None, :2] - places[two][None, :, :2], axis=2)
        assert apart.min() > 60


def test_counts(views):
    counts = Counter(view.folder for view in views)
    assert counts == {"train": 640, "val/database": 120, "val/queries": 60, "test/database": 240, "test/queries": 120}


def test_training_pictures_form_one_group(views):
    train = table(views, "train")
    keys = np.stack([train[:, 0] // 10, train[:, 1] // 10, train[:, 2] // 30], axis=1).astype(int)
    assert len(np.unique(np.stack([keys[:, 0] % 5, keys[:, 1] % 5, keys[:, 2] % 2], axis=1), axis=0)) == 1
    _, counts = np.unique(keys, axis=0, return_counts=True)
    assert len(counts) == 64 and (counts == 10).all()


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_query_has_a_near_database_picture(views, split):
    database, queries = table(views, f"{split}/database"), table(views, f"{split}/queries")
    apart = np.linalg.norm(queries[:, None, :2] - database[None, :, :2], axis=2)
    turn = np.abs((queries[:, None, 2] - database[None, :, 2] + 180) % 360 - 180)
    assert ((apart <= 12) & (apart >= 2) & (turn <= 20)).any(axis=1).all()


def test_cameras_stand_on_the_street(city, views):
    for view in views:
        place = np.array(view.utm) - ORIGIN
        assert not inside_building(city, place)
        assert street_clearance(city, place, "half") >= 0.99
        assert 0 <= view.camera.heading <= 359 and view.camera.heading == int(view.camera.heading)


def test_queries_in_every_weather_and_database_by_day(views):
    queries = Counter(view.condition for view in views if view.folder.endswith("queries"))
    assert set(queries) == {"sunny", "overcast", "fog", "rain", "dusk", "night"}
    assert 0.1 < queries["night"] / queries.total() < 0.3
    assert {view.condition for view in views if view.folder.endswith("database")} == {"day"}


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_have_room_too(seed):
    assert len(plan_views(make_city(SIZES["demo"].plan, seed), SIZES["demo"], seed)) == 1180


@pytest.mark.slow
def test_large_size_has_room():
    size = SIZES["demo-large"]
    assert len(group_cells(make_city(size.plan, 0))) * 6 >= size.classes


def test_too_small_a_quarter_is_refused():
    size = DemoSize(Plan((2, 2), (1, 1), (1, 1)), 500, 10, 1, 1, 1, 1)
    with pytest.raises(ValueError, match="training quarter holds"):
        plan_views(make_city(size.plan, 0), size, 0)
