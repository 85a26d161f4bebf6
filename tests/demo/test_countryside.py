"""Fields begin where the streets end."""

import numpy as np
import pytest
import shapely

from demo.city import make_city
from demo.countryside import VERGE, beyond_streets, paint_fields
from demo.sizes import Plan


@pytest.fixture(scope="module")
def city():
    return make_city(Plan((1, 1), (1, 1), (1, 1)), 0)


def test_distance_beyond_the_streets(city):
    """Within 30 m the distance to the nearest side is that to the polygon by shapely, except around its corners."""
    hull = shapely.MultiPoint(np.concatenate([city.streets["a"], city.streets["b"]])).convex_hull
    west, south, east, north = hull.buffer(30).bounds
    xy = np.random.default_rng(0).uniform((west, south), (east, north), (2000, 2))
    points = shapely.points(xy)
    signed = np.where(shapely.contains(hull, points), -1, 1) * shapely.distance(hull.exterior, points)
    mine = beyond_streets(city, xy.T)
    assert (mine <= signed + 1e-3).all() and np.array_equal(mine > 0, signed > 0)
    assert np.isclose(mine, signed, atol=1e-3).mean() > 0.7


def test_fields_differ_and_leave_the_city_alone():
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(0, 400, 0.5), np.arange(0, 400, 0.5)))
    colour = np.full((3, len(x)), 0.5)
    beyond = np.where(x < 200, VERGE - 5, VERGE + 5.0)
    paint_fields(colour, np.stack([x, y]), np.full(len(x), 0.5), beyond)
    assert (colour[:, x < 200] == 0.5).all()
    means = colour[:, x >= 200].reshape(3, 20, 40, 20, 20).mean(axis=(2, 4)).reshape(3, -1)
    assert means.std(axis=1).max() > 0.08  # squares of 10 x 20 m
    assert (means[1] > means[[0, 2]].max(0)).mean() > 0.15 and (means[0] > means[1:].max(0)).mean() > 0.15
