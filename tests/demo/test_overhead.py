import numpy as np
import pytest
from shapely.geometry import Polygon

from demo.city import CONIFER, TREE, make_city
from demo.overhead import Cars, park_cars, render_overhead
from demo.sizes import Plan
from demo.weather import draw_weather

NONE = Cars(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 3)))
METRE = 0.25


@pytest.fixture(scope="module")
def city():
    return make_city(Plan((1, 1), (1, 1), (1, 1)), 0)


@pytest.fixture(scope="module")
def dull():
    return draw_weather(np.random.default_rng(0), "overcast")


def above(city, weather, middle, side: int = 160, cars: Cars = NONE) -> np.ndarray:
    """A picture with north up around a point, 4 pixels a metre."""
    half = side / 2 * METRE
    return render_overhead(
        city, cars, weather, np.array([[METRE, 0, middle[0] - half], [0, -METRE, middle[1] + half]]), side
    )


def test_roofs_lie_on_their_footprints(city, dull):
    for building in (0, 7, 20):
        footprint, other = city.buildings["footprint"][building], dict(city.buildings)
        for part in ("roof", "wall"):
            other[part] = other[part].copy()
            other[part][building] = [1, 0, 1]
        painted = type(city)(city.streets, city.blocks, city.walls, other, city.props)
        middle = footprint.mean(0)
        changed = (above(city, dull, middle) != above(painted, dull, middle)).any(axis=2)
        rows, columns = np.nonzero(changed)
        x, y = middle[0] + (columns + 0.5 - 80) * METRE, middle[1] - (rows + 0.5 - 80) * METRE
        edges = np.roll(footprint, -1, axis=0) - footprint
        sides = zip(edges, footprint, strict=True)
        inside = np.array([edge[0] * (y - corner[1]) - edge[1] * (x - corner[0]) for edge, corner in sides])
        lengths = np.linalg.norm(edges, axis=1)[:, None]
        assert (inside / lengths > -1.5 * METRE).all()
        assert len(rows) * METRE**2 == pytest.approx(Polygon(footprint).area, rel=0.12)


def test_a_flat_roof_has_a_parapet_in_the_colour_of_its_walls(city, dull):
    flat = (city.buildings["gable"] == 0) & (city.buildings["roof_band"] == 0)
    building = int(np.flatnonzero(flat)[0])
    other = city.buildings | {"wall": city.buildings["wall"].copy()}
    other["wall"][building] = [1, 0, 1]
    painted = type(city)(city.streets, city.blocks, city.walls, other, city.props)
    footprint = city.buildings["footprint"][building]
    pair = (above(one, dull, footprint.mean(0)) for one in (city, painted))
    share = np.not_equal(*pair).any(axis=2).sum() * METRE**2 / Polygon(footprint).area
    assert 0.15 < share < 0.35
    middles = (above(one, dull, footprint.mean(0), 8) for one in (city, painted))
    assert np.array_equal(*middles)


def test_trees_and_cars_stand_where_they_are(city, dull):
    trees = np.flatnonzero(np.isin(city.props["kind"], [TREE, CONIFER]))
    for tree in trees[[0, len(trees) // 2]]:
        kept = {key: np.delete(value, tree, axis=0) for key, value in city.props.items()}
        without = type(city)(city.streets, city.blocks, city.walls, city.buildings, kept)
        middle = city.props["xy"][tree]
        pair = (above(one, dull, middle).astype(int) for one in (city, without))
        rows, columns = np.nonzero(np.abs(np.subtract(*pair)).sum(axis=2) > 40)  # its shadow changes less
        assert len(rows) > 20
        off = np.array([columns.mean() - 79.5, rows.mean() - 79.5]) * METRE
        assert np.hypot(*off) < 1.5
    cars = park_cars(city, np.random.default_rng(0))
    one = Cars(cars.middle[:1], cars.along[:1], np.array([[1.0, 0, 1]]))
    pair = (above(city, dull, one.middle[0], cars=cars).astype(int) for cars in (one, NONE))
    changed = np.abs(np.subtract(*pair)).sum(2) > 30
    rows, columns = np.nonzero(changed)
    assert len(rows) * METRE**2 == pytest.approx(4.6 * 2.1, rel=0.25)
    assert abs(columns.mean() - 79.5) < 1 and abs(rows.mean() - 79.5) < 1


def test_shadows_lie_away_from_the_sun(city):
    """With the sun in the south the ground to the north of a house is darker than without, and none to the south."""
    weather = draw_weather(np.random.default_rng(0), "sunny")
    low = type(weather)(**(vars(weather) | {"sun_dir": np.float32([0, -0.7, 0.714])}))
    building = int(np.argmax(city.buildings["height"]))
    alone = {key: value[[building]] for key, value in city.buildings.items()}
    only = type(city)(city.streets, city.blocks, city.walls, alone, city.props)
    none = {key: value[:0] for key, value in city.buildings.items()}
    empty = type(city)(city.streets, city.blocks, city.walls, none, city.props)
    middle = alone["footprint"][0].mean(0)
    darker = (above(only, low, middle, 320).sum(2) < above(empty, low, middle, 320).sum(2) * 0.8).nonzero()
    north = middle[1] - (darker[0] + 0.5 - 160) * METRE
    edge = alone["footprint"][0][:, 1]
    assert (north > edge.max() + 2).sum() > 300 and (north < edge.min() - 1).sum() == 0


def test_neighbouring_pictures_fit_together(city, dull):
    middle = city.streets["a"][3]
    whole = above(city, dull, middle, 256)
    half = above(city, dull, middle + [-64 * METRE / 2, 64 * METRE / 2], 192)
    assert np.abs(whole[:192, :192].astype(int) - half).mean() < 0.5
