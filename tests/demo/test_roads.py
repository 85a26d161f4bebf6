"""Roads of the demo country as scenes, and what the renderer draws of them."""

import numpy as np
import pytest

from demo.camera import Camera
from demo.city import inside_building, street_clearance
from demo.drives import draw_cameras, plan_drives
from demo.facades import PATTERNS, ROUGHNESS
from demo.geography import make_country
from demo.land import Skyline
from demo.render import gable_outline, render
from demo.roads import LENGTH, SEASONS, SEGMENT, make_road
from demo.roadside import EXTENT, SHAPES
from demo.sizes import CountrySize
from demo.traits import Traits
from demo.verges import WHITE, YELLOW, paint_road
from demo.weather import draw_weather

SIZE = CountrySize(12, 3, (20, 2, 3), 2)


@pytest.fixture(scope="module")
def traits():
    return Traits(make_country(0, SIZE.municipalities, SIZE.regions), 0)


def scene(traits, urban, seed=0, season="summer"):
    rng = np.random.default_rng(seed)
    return make_road(traits.look(np.array([20.0, 10.0]), 3, rng), urban, season, rng)


def test_gable_outlines():
    rise = np.float32([0, 0.2, 0.5, 1])
    expected = [[0, 0.2, 0.5, 1], [0, 0.25, 0.5, 1], [0, 0.6, 0.75**0.5, 1], [0, 0.34, 0.85, 1], [0, 0.02, 0.625, 1],
                [1, 1, 1, 1]]  # fmt: skip
    for form, outline in enumerate(expected):
        np.testing.assert_allclose(gable_outline(np.full(4, form), rise), outline, rtol=1e-5)


def test_path_and_road_agree(traits):
    city, path = scene(traits, 0.5)
    np.testing.assert_allclose(path.at(SEGMENT * 2.5), (path.joints[2] + path.joints[3]) / 2)
    ahead, off = path.ahead(100), path.at(100, 3.0) - path.at(100)
    assert ahead @ off == pytest.approx(0, abs=1e-9) and ahead[0] * off[1] - ahead[1] * off[0] == pytest.approx(3)
    assert street_clearance(city, path.at(100)) == pytest.approx(city.streets["road"][0])


@pytest.mark.parametrize("urban", [0.0, 0.4, 1.0])
def test_walls_face_outwards_and_cameras_stand_on_the_road(traits, urban):
    city, path = scene(traits, urban)
    centre = city.buildings["footprint"].mean(1)[city.walls["building"]]
    edge, to = city.walls["q"] - city.walls["p"], centre - city.walls["p"]
    assert (edge[:, 0] * to[:, 1] - edge[:, 1] * to[:, 0] > 0).all()
    drive = plan_drives(traits.country, SIZE, 0)[0]
    for camera in draw_cameras(drive, path, 4, np.random.default_rng(0)):
        assert street_clearance(city, camera.position) > 0.5 and not inside_building(city, camera.position)


def test_towns_are_higher_and_denser(traits):
    country, town = (scene(traits, urban)[0].buildings for urban in (0.0, 1.0))
    houses = [table["height"][table["height"] > 2] for table in (country, town)]
    assert len(houses[1]) > 1.5 * len(houses[0]) and houses[1].mean() > 2 * houses[0].mean()


@pytest.mark.parametrize("season", SEASONS)
def test_photo_of_the_wanted_size(traits, season):
    city, path = scene(traits, 0.3, season=season)
    camera = Camera(*path.at(LENGTH / 2, -1.2), heading=20)

    def take():
        rng = np.random.default_rng(1)
        return np.asarray(render(city, camera, draw_weather(rng, "day"), rng, 160))

    photo = take()
    assert photo.shape == (160, 160, 3) and photo.std() > 10
    assert np.array_equal(photo, take())


@pytest.mark.parametrize("kind", SHAPES)
def test_props_are_opaque_somewhere_and_stay_in_their_box(kind):
    wide, tall = EXTENT[kind]
    x, z = np.linspace(-wide, wide, 60, dtype=np.float32)[None], np.linspace(tall, 0, 90, dtype=np.float32)[:, None]
    for seed in range(0, 400, 1) if kind in (20, 21) else range(8):
        colour, alpha = SHAPES[kind](x, z, np.full(3, 0.5, np.float32), seed, 0.05)
        assert np.broadcast_shapes(colour.shape, (3, 90, 60)) == (3, 90, 60) and alpha.shape == (90, 60)
        assert alpha.min() >= 0 and alpha.max() > 0.9 and np.isfinite(colour).all()


def test_masonry_has_a_roughness_each():
    assert len(PATTERNS) == len(ROUGHNESS)


@pytest.mark.parametrize(("marking", "at", "paint"), [(2, 0.0, WHITE), (3, 0.17, YELLOW), (3, 0.0, None)])
def test_middle_line(traits, marking, at, paint):
    land = scene(traits, 0.0)[0].land
    land = type(land)(**(vars(land) | {"marking": marking, "edge": 0, "surface": 0, "kerb": 0}))
    colour = np.full((3, 1), 0.4, np.float32)
    place = (np.float32([-3.0]), np.float32([at]), np.float32([1.0]))
    paint_road(colour, land, place, np.float32([3.0]), np.float32([0.01]))
    np.testing.assert_allclose(colour, 0.4 if paint is None else paint, atol=1e-5)


def test_skyline_is_hidden_by_fog_and_rises_with_its_height():
    azimuth, rise = np.linspace(0, 6, 500, dtype=np.float32), np.full(500, 0.1, np.float32)
    sky = np.full((3, 500), 0.5, np.float32)
    clear, fog = (draw_weather(np.random.default_rng(0), name) for name in ("day", "fog"))
    for kind in range(5):
        low, high = (Skyline(kind, height, np.arange(4.0)) for height in (0.01, 0.6))
        assert np.array_equal(low.paint(sky, clear, azimuth, rise), sky)
        assert (high.paint(sky, clear, azimuth, rise) != sky).any(0).mean() > 0.2
        assert np.array_equal(high.paint(sky, fog, azimuth, rise), sky)
