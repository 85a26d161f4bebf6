"""Projection compared with numbers worked out by hand, and the rendered image."""

import numpy as np
import pytest

from demo.camera import Camera, Lens
from demo.city import make_city
from demo.render import SIDE, cast, render, visible_layers
from demo.sizes import Plan
from demo.weather import CONDITIONS, draw_weather


@pytest.fixture(scope="module")
def city():
    return make_city(Plan((1, 1), (1, 1), (1, 1)), 0)


@pytest.fixture
def one_wall(city):
    """A city whose only wall runs from (-5, 10) to (5, 10), faces south and is 6 m high."""
    walls = {key: value[:1] for key, value in city.walls.items()}
    walls |= {"p": np.array([[-5.0, 10]]), "q": np.array([[5.0, 10]]), "length": np.float32([10]), "gable": np.zeros(1)}
    walls["building"] = np.array([0])
    buildings = city.buildings | {"height": np.float32([6]), "roof_band": np.float32([0])}
    return type(city)(city.streets, city.blocks, walls, buildings, city.props)


def test_camera_axes():
    east = Camera(0, 0, heading=90)
    np.testing.assert_allclose(east.forward, [1, 0], atol=1e-12)
    np.testing.assert_allclose(east.right, [0, -1], atol=1e-12)


def test_wall_lands_where_the_pinhole_says(one_wall):
    # 90 degrees on 100 pixels: focal length 50. The wall, 10 m ahead, spans 5 m to each side: columns 50 -+ 25.
    # Its top is 4 m above the camera at 2 m: row 50 - 50 * 4 / 10 = 30; its foot is 2 m below: row 50 + 10 = 60.
    camera = Camera(0, 0, heading=0, fov=90, height=2)
    lens = Lens.of(camera, 100)
    layer = visible_layers(one_wall, camera, lens, cast(one_wall, camera, lens))
    expected = np.full((100, 100), -1)
    expected[30:60, 25:75] = 0
    np.testing.assert_array_equal(layer, expected)


def test_hits_carry_depth_and_place(one_wall):
    camera = Camera(0, 0, heading=0, fov=90, height=2)
    hits = cast(one_wall, camera, Lens.of(camera, 100))
    np.testing.assert_allclose(hits.depth[0, 25:75], 10, rtol=1e-5)
    np.testing.assert_allclose(hits.u[0, 25:75], np.arange(0.1, 10, 0.2), rtol=1e-4)  # left to right
    np.testing.assert_allclose(hits.slant[0, 25:75], 1, rtol=1e-5)  # seen straight on
    assert np.isinf(hits.depth[0, :25]).all() and np.isinf(hits.depth[0, 75:]).all()


def test_pitch_moves_the_horizon(one_wall):
    camera = Camera(0, 0, heading=0, fov=90, height=2, pitch=float(np.rad2deg(np.arctan(0.2))))
    lens = Lens.of(camera, 100)
    rows = np.flatnonzero((visible_layers(one_wall, camera, lens, cast(one_wall, camera, lens)) == 0).any(1))
    assert (rows[0], rows[-1]) == (40, 69)  # ten rows lower than with a level camera


def test_a_wall_shows_only_its_outside(one_wall):
    camera = Camera(0, 20, heading=180, fov=90, height=2)
    assert np.isinf(cast(one_wall, camera, Lens.of(camera, 100)).depth).all()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_picture(city, condition):
    place = (city.streets["a"][4] + city.streets["b"][4]) / 2
    camera = Camera(*place, heading=30, pitch=2, roll=3)

    def take(seed):
        rng = np.random.default_rng(seed)
        return np.asarray(render(city, camera, draw_weather(rng, condition), rng))

    picture = take(0)
    assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture, take(0))
    assert not np.array_equal(picture, take(1))
    assert picture.std() > 8  # something is to be seen
    assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]].sum(1) > 0).all()  # the roll leaves no empty corners


def test_night_is_darker_than_day(city):
    place = (city.streets["a"][4] + city.streets["b"][4]) / 2

    def mean(condition):
        rng = np.random.default_rng(0)
        return np.asarray(render(city, Camera(*place, 0), draw_weather(rng, condition), rng)).mean()

    assert mean("night") < 0.6 * mean("day")


def test_unknown_condition():
    with pytest.raises(KeyError):
        draw_weather(np.random.default_rng(0), "snow")
