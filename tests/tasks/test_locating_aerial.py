"""Photos located in a reference database: the whole way from files to positions, headings and figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from commons.errors import ArgumentError
from commons.sphere import from_local_km, haversine_km, to_local_km
from datasets.decoding import ImageFiles
from datasets.reading import read_places
from tasks import locating_aerial
from tasks.locating import AerialOptions, LocatorOptions, open_locator
from tasks.locating_aerial import AerialLocator, temperature_of
from tests.tasks.aerial_world import AT, PixelDatabase, region, write_photos, write_tiles

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiles(tmp_path_factory.mktemp("aerial") / "tiles")


@pytest.fixture(scope="module")
def database(tiles: Path) -> PixelDatabase:
    return PixelDatabase(region(), [str(tiles)])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch):
    """Opens a locator of a database in memory."""

    def make(database: PixelDatabase, **aerial: object) -> AerialLocator:
        monkeypatch.setattr(locating_aerial.ReferenceDatabase, "open", lambda folder: database)
        options = LocatorOptions(precision="fp32", aerial=AerialOptions("refdb", **aerial))
        return open_locator([], Accelerator(cpu=True), options)

    return make


def photos_at(folder: Path, tiles: Path, east, north, bearing=0.0) -> ImageFiles:
    east, north, bearing = np.broadcast_arrays(*(np.asarray(own, float) for own in (east, north, bearing)))
    return ImageFiles(read_places(write_photos(folder, tiles, east, north, bearing)), (48, 48))


def metres(images: ImageFiles, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    return 1000 * haversine_km(images.places.latitude, images.places.longitude, latitude, longitude)


def test_photos_get_the_cell_they_show(database: PixelDatabase, tiles: Path, opened, tmp_path: Path):
    cells = np.array([3, 40, 77])
    east, north = (1000 * own for own in to_local_km(*database.cells.centres(cells), *AT))
    images = photos_at(tmp_path / "p", tiles, east + 2, north - 2)
    (tmp_path / "p" / "@@@@@50@8@broken.jpg").write_bytes(b"no image")
    locator = opened(database)
    assert tuple(locator.shorter_side) == (48, 48)
    images = ImageFiles(read_places(tmp_path / "p"), locator.shorter_side)
    found = locator.locate(images, 4)
    order = np.argsort(database.cells.assign(*(own[found.rows] for own in images.places.degrees)))
    assert len(images.places) == 4 and len(found.rows) == 3
    assert [found.names[row, 0] for row in order] == ["cell 3", "cell 40", "cell 77"]
    assert found.latitude[order, 0] == pytest.approx(database.cells.centres(cells).latitude)
    assert (found.similarity[:, 0] > 0.8).all() and (np.diff(found.probability, axis=1) <= 0).all()
    assert found.cells.shape == (3, len(database.cells)) and found.cell_probabilities.sum(axis=1) == pytest.approx(1)
    assert found.heading.shape == (3, 4) and np.isnan(found.heading).all()
    assert locator.outlines([40])[0].contains(locator.outlines([40])[0].centroid)
    assert locator.cells_at(*images.places.degrees).max() == 77 and locator.total_cells == len(database.cells)


def test_refinement_finds_the_position_in_the_cell(database: PixelDatabase, tiles: Path, opened, tmp_path: Path):
    draw = np.random.default_rng(0).uniform(-100, 100, (2, 12))
    images = photos_at(tmp_path / "p", tiles, *draw)
    before, after = (opened(database, refine_m=own).locate(images, 3) for own in (0, 3.0))
    rough, fine = (metres(images, own.latitude[:, 0], own.longitude[:, 0]) for own in (before, after))
    assert np.median(rough) > 7 and fine.max() < 3.0
    assert (after.similarity[:, 0] > 0.9).all()


def test_bearings_find_the_heading_of_a_network_that_was_trained_with_headings(
    tiles: Path, opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    turned = PixelDatabase(region(60), [str(tiles)], aerial_bearing="heading")
    heading = np.array([0, 44, 137, 181, 269, 314.0])
    middles = (1000 * own for own in to_local_km(*turned.cells.centres(np.arange(6) * 3), *AT))
    images = photos_at(tmp_path / "p", tiles, *middles, heading)
    found = opened(turned, bearings=8).locate(images, len(turned.cells))
    error = np.abs((found.heading[:, 0] - images.places.heading + 180) % 360 - 180)
    assert error.max() <= 2
    own = turned.cells.assign(*images.places.degrees)
    assert np.array_equal(found.names[:, 0], [f"cell {cell}" for cell in own])
    # With finer positions, cells are described in the direction that was found.
    both = opened(turned, bearings=8, refine_m=5.0).locate(images, len(turned.cells))
    assert np.array_equal(both.heading[:, 0], found.heading[:, 0])
    assert metres(images, both.latitude[:, 0], both.longitude[:, 0]).max() < 4
    assert "random" not in caplog.text


def test_bearings_change_no_cell_of_other_networks(
    database: PixelDatabase, tiles: Path, opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    images = photos_at(tmp_path / "p", tiles, [10.0, -50], [20.0, 60])
    alone, with_bearings = (opened(database, bearings=own).locate(images, 3) for own in (0, 4))
    assert np.array_equal(alone.names, with_bearings.names)
    assert np.array_equal(with_bearings.heading[:, 0], [0, 0])
    assert np.isin(with_bearings.heading, [0, 90, 180, 270]).all()
    assert "trained with aerial images at random bearings" in caplog.text


def test_a_path_votes(database: PixelDatabase, tiles: Path, opened, tmp_path: Path):
    """Photo 4 of a path shows a place 150 m away."""
    east = np.linspace(-100, 100, 11)
    images = photos_at(tmp_path / "p", tiles, east, np.full(11, 20.0))
    by_time = np.argsort([name.rsplit("day")[1] for name in images.places.names.to_pylist()])
    wrong, other, broken = (images.places.path(by_time[row]) for row in (3, 10, 7))
    Image.open(other).save(wrong)
    broken.write_bytes(b"no image")
    alone, voted = (opened(database, step_m=own).locate(images, 2) for own in (None, 20.0))
    assert len(alone.rows) == len(voted.rows) == 10 and by_time[7] not in voted.rows
    far = np.full((2, 11), 0.0)
    for row, own in enumerate((alone, voted)):
        at = (column[own.rows] for column in images.places.degrees)
        far[row, own.rows] = 1000 * haversine_km(*at, own.latitude[:, 0], own.longitude[:, 0])
    assert np.flatnonzero(far[0, by_time] > 25).tolist() == [3] and (far[1] < 45).all()


def test_the_region_from_above(database: PixelDatabase, tiles: Path, opened, tmp_path: Path):
    picture, bounds = opened(database).background()
    assert bounds.west < AT[1] < bounds.east and bounds.south < AT[0] < bounds.north
    # A pixel of the picture is that of a crop at its place.
    latitude, longitude = from_local_km(0.05, -0.03, *AT)
    crop, _ = locating_aerial.open_aerial([str(tiles)]).crops([latitude], [longitude], 1.0, 3)
    x = (longitude - bounds.west) / (bounds.east - bounds.west) * picture.width
    y = (bounds.north - latitude) / (bounds.north - bounds.south) * picture.height
    pixel = torch.tensor(picture.getpixel((int(x), int(y))))
    assert (pixel.float() - crop[0, :, 1, 1].float()).abs().max() < 6
    assert opened(database, tiles=[str(tmp_path)]).background() is None
    large = PixelDatabase(region(60), [str(tiles)])
    large.cells = region(1600)
    assert opened(large).background() is None


def test_mistakes_name_the_option(database: PixelDatabase, opened, tmp_path: Path):
    with pytest.raises(ArgumentError, match="reference.* is missing: networks for street photos"):
        AerialLocator.open(["a.pth"], Accelerator(cpu=True), LocatorOptions())
    options = LocatorOptions(calibration="c.json", aerial=AerialOptions("refdb"))
    with pytest.raises(ArgumentError, match="calibration.* is not for photos located by aerial images"):
        AerialLocator.open([], Accelerator(cpu=True), options)
    lost = PixelDatabase(region(60), database.tiles)
    lost.tiles = [str(tmp_path / "gone")]
    with pytest.raises(ArgumentError, match="gone.*name where they lie now with `tiles`"):
        _ = opened(lost, refine_m=5.0).aerial


def test_temperature():
    assert temperature_of({"loss_options": {"temperature": "0.05"}}) == 0.05
    assert temperature_of({}) == temperature_of({"loss_options": {"alpha": "10"}}) == 1 / 36
    assert temperature_of({"temperature": 0.1, "loss_options": {"temperature": "0.05"}}) == 0.1
