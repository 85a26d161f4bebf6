"""The street photos and the tiles show the same things in the same places."""

from pathlib import Path

import numpy as np
import pytest
import utm
from scipy import ndimage

from datasets.names import places_from_names
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from demo import aerial
from demo.aerial import ZOOM, covering_tiles, park_cars, street_views, tile_to_city, write_aerial
from demo.camera import Camera, Lens
from demo.city import ORIGIN, UTM_LETTER, UTM_ZONE, make_city
from demo.render import FINER, OVERSCAN, SIDE, render
from demo.sizes import AerialSize, Plan
from demo.weather import draw_weather
from demo.write import demo_or_folder

pytestmark = pytest.mark.slow
SMALL = AerialSize(Plan((1, 1), (1, 1), (1, 1)), (4, 2, 3))


def degrees(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    east, north = (np.atleast_2d(xy) + ORIGIN).T
    return utm.to_latlon(east, north, UTM_ZONE, UTM_LETTER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setitem(aerial.AERIALS, "small", SMALL)
    patch.setattr(aerial, "RIM", 30.0)
    patch.setattr(aerial, "morning", lambda: draw_weather(np.random.default_rng(0), "overcast"))
    yield write_aerial(tmp_path_factory.mktemp("demo") / "small", "small", workers=1)
    patch.undo()


@pytest.fixture(scope="module")
def city():
    return make_city(SMALL.plan, 0)


def test_what_is_written(folder: Path, city):
    assert sorted(path.name for path in folder.iterdir()) == ["demo.json", "test", "tiles", "train", "val"]
    for split, count in zip(("train", "val", "test"), SMALL.photos, strict=True):
        names = sorted(path.name for path in (folder / split).iterdir())
        places = places_from_names(folder / split, names)
        assert len(names) == count and np.isfinite(places.heading).all()
        views = street_views(city, 0, ("train", "val", "test").index(split), count)
        wanted = np.sort([view.utm[0] for view in views])
        assert np.allclose(np.sort(places.utm_east), wanted, atol=0.01)
    tiles = open_tiles(folder / "tiles")
    assert tiles.zooms == [15, 16, 17, 18, 19] or tiles.zooms[-1] == ZOOM
    first = (folder / "demo.json").stat().st_mtime_ns
    write_aerial(folder, "small", workers=1)
    assert (folder / "demo.json").stat().st_mtime_ns == first


def test_tiles_lie_where_web_mercator_says(city):
    """A tile's corner by pyproj, and the scale of its pixels."""
    from pyproj import Transformer

    zoom, column, row = sorted(covering_tiles(city, ZOOM))[5]
    half = np.pi * 6_378_137
    x, y = 2 * half * column / 2**zoom - half, half - 2 * half * row / 2**zoom
    east, north = Transformer.from_crs("EPSG:3857", "EPSG:32632", always_xy=True).transform(x, y)
    matrix = tile_to_city(zoom, column, row)
    assert np.allclose(matrix[:, 2] + ORIGIN, (east, north), atol=0.02)
    assert np.sqrt(abs(np.linalg.det(matrix[:, :2]))) == pytest.approx(0.2986 * np.cos(np.radians(45.05)), rel=0.005)


def test_roofs_are_found_in_the_tiles(folder: Path, city):
    """Crops of the written tiles show at its position what the city holds there."""
    tiles = AerialTiles([open_tiles(folder / "tiles")])
    footprints = city.buildings["footprint"].mean(1)
    flat = np.flatnonzero((city.buildings["gable"] == 0) & (city.buildings["height"] > 8))[:40]
    images, filled = tiles.crops(*degrees(footprints[flat]), 0.25, 8)
    weather = draw_weather(np.random.default_rng(0), "overcast")
    light = weather.ambient + weather.sun * float(weather.sun_dir[2])
    wanted = city.buildings["roof"][flat] * light * 1.25
    assert bool((filled == 1).all())
    found = images.float().mean(dim=(2, 3)).numpy() / 255
    assert np.abs(found - np.clip(wanted, 0, 1)).mean() < 0.03
    shuffled = np.abs(found - np.roll(np.clip(wanted, 0, 1), 1, axis=0)).mean()
    assert shuffled > 0.06


@pytest.mark.parametrize("along", [1, -1])
def test_the_roadway_looks_the_same_from_the_street_and_from_above(folder: Path, city, along: int):
    """Crossings and lines ahead of a camera, seen by both; half a metre beside or another heading fits less."""
    tiles = AerialTiles([open_tiles(folder / "tiles")])
    quiet = type(city)(**(vars(city) | {"crowd": 0.0}))
    scores = {"same": [], "beside": [], "turned": []}
    streets = city.streets
    chosen = np.flatnonzero(streets["zebra"][:, 1 if along > 0 else 0] & (streets["quarter"] != ""))
    assert len(chosen) >= 3
    for street in chosen[:6]:
        start, end = (streets[key][street] for key in ("ab" if along > 0 else "ba"))
        ahead = (end - start) / np.linalg.norm(end - start)
        clear = streets["clear"][street, 1 if along > 0 else 0]
        place = end - ahead * (clear + 11)
        camera = Camera(*place, heading=float(np.degrees(np.arctan2(*ahead))), fov=75)
        picture = photo_of(quiet, camera)
        depth, side = (axis.ravel() for axis in np.mgrid[5:12:0.25, -2.2:2.25:0.25])
        mine = look(picture, camera, depth, side)
        for name, turn, shift in (("same", 0, 0), ("beside", 0, 0.55), ("turned", 180, 0)):
            crop = tiles.crops(*degrees(place + camera.right * shift), 0.2, 160, camera.heading + turn)[0][0]
            brightness = crop.float().mean(0).numpy()
            theirs = ndimage.map_coordinates(brightness, [79.5 - depth / 0.2, 79.5 + side / 0.2], order=1)
            scores[name].append(np.corrcoef(mine, theirs)[0, 1])
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    assert means["same"] > 0.6 and means["beside"] < means["same"] - 0.2 and means["turned"] < means["same"] - 0.3


def photo_of(city, camera: Camera) -> np.ndarray:
    """A street photo on a dull day, as brightness."""
    rng = np.random.default_rng(0)
    return np.asarray(render(city, camera, draw_weather(rng, "day"), rng)).mean(axis=2)


def look(picture: np.ndarray, camera: Camera, depth: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The brightness at points on the ground `depth` metres ahead and `side` metres to the right."""
    inner = int(np.ceil(SIDE * FINER * OVERSCAN))
    lens = Lens.of(camera, inner, wide=inner / (SIDE * FINER))
    column = lens.side / 2 + lens.focal * side / depth
    row = lens.horizon + lens.focal * camera.height / depth
    place = [SIDE / 2 + (edge - inner / 2) / FINER - 0.5 for edge in (row, column)]
    return ndimage.map_coordinates(picture, place, order=1)


def test_the_flight_has_its_own_cars(city):
    one, two = (park_cars(city, np.random.default_rng(seed)) for seed in (0, 1))
    assert len(one.middle) > 10 and len(one.middle) != len(two.middle)


def test_name_resolves_to_a_folder_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("demo.write.write_aerial", lambda folder, name: folder.mkdir() or folder)
    assert demo_or_folder("demo-aerial", tmp_path) == str(tmp_path / "demo-aerial")
    assert (tmp_path / "demo-aerial").is_dir()
