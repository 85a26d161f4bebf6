"""What demo-aerial holds, and that its street photos and aerial images show the same things in the same places."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
import utm
from PIL import Image
from scipy import ndimage

from commons.errors import ArgumentError
from datasets.exif import read_exif
from datasets.names import places_from_names
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from demo import aerial, flight
from demo.aerial import street_views, write_aerial
from demo.camera import Camera
from demo.city import ORIGIN, TREE, UTM_LETTER, UTM_ZONE, City, make_city
from demo.render import render, render_panorama
from demo.sizes import AerialSize, Plan
from demo.weather import draw_weather
from demo.write import demo_or_folder
from tests.demo.projection import colours_at, project

pytestmark = pytest.mark.slow
SMALL = AerialSize(Plan((1, 1), (1, 1), (1, 1)), (18, 8, 8))
# What a camera sees besides its place and heading, and the size of its pictures.
CAMERAS = {
    "street": ({"fov": 75, "pitch": 2}, (320, 320)),
    "panorama": ({"fov": 360}, (768, 384)),
    "phone": ({"fov": 54, "height": 1.6, "pitch": 5, "roll": 2.2}, (288, 384)),
    "wide phone": ({"fov": 100, "height": 1.5, "pitch": -3, "roll": -2}, (384, 288)),
}


def degrees(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    east, north = (np.atleast_2d(xy) + ORIGIN).T
    return utm.to_latlon(east, north, UTM_ZONE, UTM_LETTER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setitem(aerial.AERIALS, "small", SMALL)
    patch.setattr(flight, "RIM", 75.0)
    patch.setattr(flight, "COARSER", 2)
    patch.setattr(flight, "morning", lambda: draw_weather(np.random.default_rng(0), "overcast"))
    yield write_aerial(tmp_path_factory.mktemp("demo") / "small", "small", workers=1)
    patch.undo()


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(SMALL.plan, 0)


@pytest.fixture(scope="module")
def tiles(folder: Path) -> AerialTiles:
    return AerialTiles([open_tiles(folder / "tiles")])


def test_what_is_written(folder: Path, city: City):
    parts = ["demo.json", "orthophoto.tif", "region.geojson", "test", "tiles", "train", "val"]
    assert sorted(path.name for path in folder.iterdir()) == parts
    for split, count in zip(("train", "val", "test"), SMALL.photos, strict=True):
        names = sorted(path.name for path in (folder / split).iterdir())
        places = places_from_names(folder / split, names)
        assert len(names) == count and np.isfinite(places.heading).all()
        views = street_views(city, 0, ("train", "val", "test").index(split), count)
        wanted = np.sort([view.utm[0] for view in views])
        assert np.allclose(np.sort(places.utm_east), wanted, atol=0.01)
    first = (folder / "demo.json").stat().st_mtime_ns
    write_aerial(folder, "small", workers=1)
    assert (folder / "demo.json").stat().st_mtime_ns == first


def test_panoramas_and_phones(folder: Path):
    """Panoramas are twice as wide as high. The EXIF data of phones agree with the names of their photos."""
    files = sorted(folder.glob("*/@*.jpg"))
    kinds = [path.name.split("@")[14].partition("_")[2] for path in files]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        name.replace("street", ""): count
        for name, count in json.loads((folder / "demo.json").read_text())["kinds"].items()
    }
    assert kinds.count("panorama") >= 2 and kinds.count("phone") >= 2
    for path, kind in zip(files, kinds, strict=True):
        photo, size = read_exif(path), Image.open(path).size
        if kind != "phone":
            assert size == ((768, 384) if kind else (320, 320)) and np.isnan([photo.latitude, photo.heading]).all()
            continue
        places = places_from_names(path.parent, [path.name])
        east, north, _, _ = utm.from_latlon(photo.latitude, photo.longitude)
        assert np.allclose([east, north], [places.utm_east[0], places.utm_north[0]], atol=0.01)
        assert photo.heading == places.heading[0] and photo.time[:7].replace(":", "") == path.name.split("@")[13]
        assert sorted(size) == [288, 384] and not photo.problem and not photo.assumed


def test_shares_of_panoramas_and_phones(city: City):
    """All splits have both; most phones stand on the pavement, and cars drive on the roadway."""
    for split in range(3):
        views = street_views(city, 0, split, 200)
        kinds = [view.kind for view in views]
        assert 16 <= kinds.count("panorama") <= 44 and 16 <= kinds.count("phone") <= 44
    fovs = [view.camera.fov for view in views if view.kind == "phone"]
    assert min(fovs) < 45 and max(fovs) > 90
    assert {view.size for view in views if view.kind == "phone"} == {(288, 384), (384, 288)}


def test_region_holds_the_photos_and_has_tiles(folder: Path, tiles: AerialTiles):
    region = shapely.from_geojson((folder / "region.geojson").read_text()).geoms[0]
    assert region.is_valid and tiles.coverage().covers(region)
    for split in ("train", "val", "test"):
        places = places_from_names(folder / split, [path.name for path in (folder / split).iterdir()])
        assert shapely.contains_xy(region, places.longitude, places.latitude).all()


def test_full_size_has_a_region_of_a_square_kilometre():
    region = flight.region(make_city(aerial.AERIALS["demo-aerial"].plan, 0))
    ring = np.array(region["features"][0]["geometry"]["coordinates"][0])
    east, north, _, _ = utm.from_latlon(ring[:, 1], ring[:, 0])
    assert shapely.Polygon(np.stack([east, north], 1)).area == pytest.approx(1e6, rel=0.05)


def test_all_zooms_cover_the_same(folder: Path):
    source = open_tiles(folder / "tiles")
    assert source.zooms == [17, 18, 19]
    count = {zoom: len(list((folder / "tiles" / str(zoom)).glob("*/*.jpg"))) for zoom in source.zooms}
    assert count[19] == 4 * count[18] == 16 * count[17]


def test_tiles_lie_where_web_mercator_says(city: City):
    """A tile's corner by pyproj, and the scale of its pixels."""
    from pyproj import Transformer

    zoom, column, row = sorted(flight.covering_tiles(city, flight.ZOOM))[5]
    half = np.pi * 6_378_137
    x, y = 2 * half * column / 2**zoom - half, half - 2 * half * row / 2**zoom
    east, north = Transformer.from_crs("EPSG:3857", "EPSG:32632", always_xy=True).transform(x, y)
    matrix = flight.tile_to_city(zoom, column, row)
    assert np.allclose(matrix[:, 2] + ORIGIN, (east, north), atol=0.02)
    assert np.sqrt(abs(np.linalg.det(matrix[:, :2]))) == pytest.approx(0.2986 * np.cos(np.radians(45.05)), rel=0.005)


def test_orthophoto_shows_what_the_tiles_show(folder: Path, tiles: AerialTiles):
    """Crops of the GeoTIFF in UTM and of the tiles agree; half a metre beside they do not."""
    pytest.importorskip("rasterio")
    photo = AerialTiles([open_tiles(folder / "orthophoto.tif")])
    assert photo.sources[0].zooms[-1] == 20  # zoom 19 has pixels of 0.21 m, which are coarser than its own
    assert photo.coverage().buffer(1e-6).covers(shapely.from_geojson((folder / "region.geojson").read_text()))
    middle = np.random.default_rng(0).uniform([-60, 60], [200, 260], (12, 2))
    for metres, limit in ((0.3, 5), (0.6, 4)):
        one, filled = tiles.crops(*degrees(middle), metres, 128, 30)
        two, full = photo.crops(*degrees(middle), metres, 128, 30)
        beside, _ = photo.crops(*degrees(middle + [0.5, 0]), metres, 128, 30)
        assert bool((filled == 1).all()) and bool((full == 1).all())
        same, shifted = (float((one.float() - other.float()).abs().mean()) for other in (two, beside))
        assert same < limit and shifted > 1.5 * same


def test_roofs_and_trees_are_found_in_the_tiles(tiles: AerialTiles, city: City):
    """Crops of the written tiles show at its position what the city holds there."""
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
    trees = city.props["xy"][city.props["kind"] == TREE]
    warm = [float(np.mean(autumn(tiles, trees + shift))) for shift in ([0, 0], [7, 0], [0, 7], [-7, 0], [0, -7])]
    assert warm[0] > 30 and max(warm[1:]) < 0.6 * warm[0]


def autumn(tiles: AerialTiles, xy: np.ndarray) -> np.ndarray:
    """How much redder than blue the aerial images are at places (n,)."""
    colour = tiles.crops(*degrees(xy), 0.25, 8)[0].float().mean(dim=(2, 3)).numpy()
    return colour[:, 0] - colour[:, 2]


def streets_of(city: City) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """First and last crossing of streets in both directions, and the unit vector from one to the other."""
    chosen = np.flatnonzero(city.streets["quarter"] != "")
    ends = [(city.streets[a][s], city.streets[b][s]) for s in chosen for a, b in ("ab", "ba")]
    return [(start, end, (end - start) / np.linalg.norm(end - start)) for start, end in ends]


def camera_at(kind: str, place: np.ndarray, ahead: np.ndarray, number: int) -> Camera:
    """A camera that looks along a street; panoramas are turned in many ways, because they see it in all of them."""
    turn = 77 * number if kind == "panorama" else 0
    return Camera(*place, heading=float(np.degrees(np.arctan2(*ahead)) + turn), **CAMERAS[kind][0])


def photo_of(city: City, camera: Camera, kind: str) -> np.ndarray:
    """A street photo on an ordinary day without passers-by."""
    rng, size = np.random.default_rng(0), CAMERAS[kind][1]
    quiet = City(**(vars(city) | {"crowd": 0.0}))
    weather = draw_weather(rng, "day")
    if kind == "panorama":
        return np.asarray(render_panorama(quiet, camera, weather, rng, size[0]))
    return np.asarray(render(quiet, camera, weather, rng, size))


@pytest.mark.parametrize("kind", CAMERAS)
def test_the_roadway_looks_the_same_from_the_street_and_from_above(tiles: AerialTiles, city: City, kind: str):
    """Crossings and lines ahead of a camera, seen by both; half a metre beside or another heading fits less."""
    scores = {"same": [], "beside": [], "turned": []}
    streets = city.streets
    crossed = [(s, k) for s in np.flatnonzero(streets["quarter"] != "") for k in (0, 1) if streets["zebra"][s, k]]
    assert len(crossed) >= 8
    for number, (street, k) in enumerate(crossed[:8]):
        start, end = (streets[key][street] for key in ("ba", "ab")[k])
        ahead = (end - start) / np.linalg.norm(end - start)
        place = end - ahead * (streets["clear"][street, k] + 11)
        camera = camera_at(kind, place, ahead, number)
        picture = photo_of(city, camera, kind)
        depth, side = (axis.ravel() for axis in np.mgrid[5:12:0.25, -2.2:2.25:0.25])
        xy = place + np.outer(depth, ahead) + np.outer(side, [ahead[1], -ahead[0]])
        spots = project(camera, CAMERAS[kind][1], np.c_[xy, np.zeros(len(xy))])
        mine = colours_at(picture, spots).mean(1)
        seen = np.isfinite(mine)  # a portrait is too narrow for some
        along = float(np.degrees(np.arctan2(*ahead)))
        for name, turn, shift in (("same", 0, 0), ("beside", 0, 0.55), ("turned", 180, 0)):
            middle = place + np.array([ahead[1], -ahead[0]]) * shift
            brightness = tiles.crops(*degrees(middle), 0.2, 160, along + turn)[0][0].float().mean(0).numpy()
            theirs = ndimage.map_coordinates(brightness, [79.5 - depth / 0.2, 79.5 + side / 0.2], order=1)
            scores[name].append(np.corrcoef(mine[seen], theirs[seen])[0, 1])
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    assert means["same"] > 0.6 and means["beside"] < means["same"] - 0.2 and means["turned"] < means["same"] - 0.3


@pytest.mark.parametrize("kind", CAMERAS)
def test_trees_stand_where_both_see_them(tiles: AerialTiles, city: City, kind: str):
    """Crowns are green in the photos and autumnal from above; the middle of the street before them is neither."""
    size, crowns, grey, above, below = CAMERAS[kind][1], [], [], [], []
    for number, (start, end, ahead) in enumerate(streets_of(city)):
        place, right = start + (end - start) * 0.3, np.array([ahead[1], -ahead[0]])
        camera = camera_at(kind, place, ahead, number)
        picture = photo_of(city, camera, kind)
        way = (city.props["xy"] - place) @ np.stack([ahead, right], axis=1)
        near = (city.props["kind"] == TREE) & (np.abs(way[:, 0] - 19) < 11) & (np.abs(way[:, 1]) < 9)
        trees, height = city.props["xy"][near], 5 * city.props["size"][near]
        beside = place + np.outer(way[near, 0], ahead)
        for xy, found, autumnal in ((trees, crowns, above), (beside, grey, below)):
            colour = colours_at(picture, project(camera, size, np.c_[xy, height]))
            found += list(colour[:, 1] - colour[:, [0, 2]].max(1))
            autumnal += list(autumn(tiles, xy)) if len(xy) else []
    assert np.isfinite(crowns).sum() >= 12
    assert np.nanmedian(crowns) > 10 and np.nanmedian(grey) < -10
    assert np.median(above) > 30 and np.median(below) < 15


@pytest.mark.parametrize("kind", CAMERAS)
def test_roofs_end_where_both_see_it(tiles: AerialTiles, city: City, kind: str):
    """At the upper edge of a facade a photo turns from wall to sky, and the tiles from roof to ground.

    Two metres higher or lower, or further from the house, neither changes as much.
    """
    walls, size = city.walls, CAMERAS[kind][1]
    middle, edge = (walls["p"] + walls["q"]) / 2, walls["q"] - walls["p"]
    outwards = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / walls["length"][:, None]
    flat = (walls["gable"] == 0) & (np.arange(len(middle)) % 4 == 0)
    top = (city.buildings["height"] + city.buildings["roof_band"])[walls["building"].astype(int)]
    street, seen = {shift: [] for shift in (0, 2, -2)}, []
    for number, (start, end, ahead) in enumerate(streets_of(city)):
        camera = camera_at(kind, start + (end - start) * 0.3, ahead, number)
        picture = photo_of(city, camera, kind)
        away = middle - camera.position
        near = (away @ ahead > 6) & (np.hypot(*away.T) < 45) & ((away * outwards).sum(1) < -3)
        own = np.flatnonzero(flat & near)
        seen.append(own)
        for shift, values in street.items():
            sky, over, under = (
                colours_at(picture, project(camera, size, np.c_[middle[own], top[own] + shift + rise]))
                for rise in (3, 0.6, -0.6)
            )
            values += list(np.abs(under - sky).mean(1) - np.abs(over - sky).mean(1))
    assert np.isfinite(street[0]).sum() >= 12
    means = {shift: float(np.nanmean(values)) for shift, values in street.items()}
    assert means[0] > 25 and max(means[2], means[-2]) < 0.5 * means[0]
    chosen = np.unique(np.concatenate(seen))
    steps = {shift: above_step(tiles, middle[chosen] + shift * outwards[chosen], outwards[chosen]) for shift in (0, 2)}
    assert steps[0] > 1.5 * steps[2]


def above_step(tiles: AerialTiles, xy: np.ndarray, outwards: np.ndarray) -> float:
    """Mean difference in colour of the aerial images between 0.7 m on both sides of places."""
    inside, outside = (tiles.crops(*degrees(xy + side * 0.7 * outwards), 0.2, 3)[0].float() for side in (-1, 1))
    return float((inside.mean(dim=(2, 3)) - outside.mean(dim=(2, 3))).abs().mean())


def test_the_flight_has_its_own_cars(city: City):
    one, two = (flight.park_cars(city, np.random.default_rng(seed)) for seed in (0, 1))
    assert len(one.middle) > 10 and len(one.middle) != len(two.middle)


def test_name_resolves_to_a_folder_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("demo.write.write_aerial", lambda folder, name: folder.mkdir() or folder)
    assert demo_or_folder("demo-aerial", tmp_path) == str(tmp_path / "demo-aerial")
    assert (tmp_path / "demo-aerial").is_dir()


def test_unknown_name(tmp_path):
    with pytest.raises(ArgumentError, match="demo-aerial"):
        write_aerial(tmp_path / "new", "huge")
