"""Projection compared with numbers worked out by hand, and the rendered image."""

import numpy as np
import pytest
from scipy import ndimage

from demo.camera import Camera, Lens, PanoramaLens
from demo.city import make_city
from demo.render import SIDE, cast, render, render_panorama, visible_layers
from demo.sizes import Plan
from demo.weather import CONDITIONS, draw_weather
from tests.demo.projection import colours_at, project


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


def test_wall_lands_where_the_panorama_says(one_wall):
    # One degree a pixel. The wall's ends are at atan(5 / 10) = 26.57 degrees: columns 45 -+ 26.57.
    # In the middle, 10 m away, its top is atan(4 / 10) = 21.80 degrees above the horizon, row 90 - 21.80 = 68.20, and
    # its foot atan(2 / 10) = 11.31 below, row 101.31. At its ends, 11.18 m away, they are rows 70.32 and 100.14.
    camera = Camera(0, 0, heading=0, height=2)
    lens = PanoramaLens.strip(90, 180)
    hits = cast(one_wall, camera, lens)
    layer = visible_layers(one_wall, camera, lens, hits)
    rows, columns = np.nonzero(layer == 0)
    assert (columns.min(), columns.max()) == (18, 71)
    middle, end = (rows[columns == column] for column in (45, 18))
    assert (middle.min(), middle.max()) == (68, 100) and (end.min(), end.max()) == (70, 99)
    assert hits.depth[0, [18, 45]] == pytest.approx([10 / np.cos(np.radians(26.5)), 10 / np.cos(np.radians(0.5))])
    np.testing.assert_allclose(hits.u[0, 18:72], 5 + 10 * np.tan(np.radians(np.arange(-26.5, 27))), rtol=1e-4)


def test_all_headings_of_a_panorama_agree_with_pictures_taken_there(city):
    """At every heading, also across the seams of its strips; a panorama turned by one degree fits less."""
    place = (city.streets["a"][4] + city.streets["b"][4]) / 2

    def take(what, camera, size):
        rng = np.random.default_rng(0)
        return np.asarray(what(city, camera, draw_weather(rng, "day"), rng, size)).astype(float)

    around = Camera(*place, heading=20, fov=360)
    panorama = ndimage.gaussian_filter(take(render_panorama, around, 1024), (2, 2, 0))
    for heading in range(0, 360, 40):
        camera = Camera(*place, heading=heading, fov=60, roll=2)
        picture = ndimage.gaussian_filter(take(render, camera, 352), (4, 4, 0))
        turn, rise = (axis.ravel() for axis in np.radians(np.mgrid[-24:25:1.0, -20:21:1.0]))
        ways = {k: np.radians(heading + k) + turn for k in (0, 1)}
        rays = {k: np.stack([np.sin(way), np.cos(way), np.tan(rise)], axis=1) * 20 for k, way in ways.items()}
        points = {k: ray + [*place, camera.height] for k, ray in rays.items()}
        mine = colours_at(picture, project(camera, (352, 352), points[0]))
        theirs = {k: colours_at(panorama, project(around, (1024, 512), point)) for k, point in points.items()}
        same, turned = (np.nanmean(np.abs(mine - theirs[k])) for k in (0, 1))
        assert same < 3 and turned > 2 * same


def test_pitch_moves_the_horizon(one_wall):
    camera = Camera(0, 0, heading=0, fov=90, height=2, pitch=float(np.rad2deg(np.arctan(0.2))))
    lens = Lens.of(camera, 100)
    rows = np.flatnonzero((visible_layers(one_wall, camera, lens, cast(one_wall, camera, lens)) == 0).any(1))
    assert (rows[0], rows[-1]) == (40, 69)  # ten rows lower than with a level camera


def test_a_wall_shows_only_its_outside(one_wall):
    camera = Camera(0, 20, heading=180, fov=90, height=2)
    assert np.isinf(cast(one_wall, camera, Lens.of(camera, 100)).depth).all()


@pytest.mark.slow
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


@pytest.mark.parametrize("size", [(96, 128), (128, 96), (128, 64)])
def test_pictures_of_any_shape_have_no_empty_corners(city, size):
    place = (city.streets["a"][4] + city.streets["b"][4]) / 2
    rng = np.random.default_rng(0)
    picture = np.asarray(render(city, Camera(*place, 30, roll=-2.5), draw_weather(rng, "day"), rng, size))
    assert picture.shape == (size[1], size[0], 3)
    assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]].sum(1) > 0).all()


def test_night_is_darker_than_day(city):
    place = (city.streets["a"][4] + city.streets["b"][4]) / 2

    def mean(condition):
        rng = np.random.default_rng(0)
        return np.asarray(render(city, Camera(*place, 0), draw_weather(rng, condition), rng)).mean()

    assert mean("night") < 0.6 * mean("day")


def test_unknown_condition():
    with pytest.raises(KeyError):
        draw_weather(np.random.default_rng(0), "snow")
