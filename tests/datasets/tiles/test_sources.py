from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from datasets.tiles.sources import FolderTiles, tiles_area
from tests.datasets.tiles.maps import LATITUDE, LONGITUDE, ZOOM, draw, tile_of, waves, write_map


@pytest.mark.parametrize(("name", "side"), [("png", 256), ("webp", 100), ("png", 250)])
def test_tiles_of_any_type_and_size(tmp_path: Path, name: str, side: int):
    source = FolderTiles(write_map(tmp_path, side=side, name=name, reach=1))
    assert (source.zooms, source.tile_size) == ([ZOOM], side)
    column, row = tile_of()
    tile = source.read(ZOOM, column + 1, row)
    assert np.array_equal(tile[..., :3], draw(1, 0, waves, side)) and (tile[..., 3] == 255).all()
    assert np.array_equal(source.read(ZOOM, column + 1 + 2**ZOOM, row), tile)  # once around the earth


def test_missing_and_corrupt_tiles_are_counted_and_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    source = FolderTiles(write_map(tmp_path, reach=1))
    column, row = tile_of()
    paths = [tmp_path / str(ZOOM) / str(column) / f"{row + south}.png" for south in (-1, 0, 1)]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    Image.new("RGB", (64, 64)).save(paths[2])
    for south in (-1, 0, 1, 0):
        assert not source.read(ZOOM, column, row + south).any()
    assert source.missing == 1 and source.corrupt == {str(paths[1]), str(paths[2])}
    assert len(caplog.records) == 2 and "64x64 pixels instead of 256x256" in caplog.text
    assert not source.read(ZOOM, column, 2**ZOOM).any() and source.missing == 1  # south of the map


def test_transparent_pixels_and_white_areas_are_empty(tmp_path: Path):
    write_map(tmp_path, reach=0)
    column, row = tile_of()
    pixels = np.dstack([draw(0, 0, waves), np.full((256, 256), 255, np.uint8)])
    pixels[:50, :40, :3] = 255  # a survey's end
    pixels[100:110, 100:120, :3] = 255  # a white roof
    pixels[200:, 200:, 3] = 0
    Image.fromarray(pixels).save(tmp_path / str(ZOOM) / str(column) / f"{row}.png")
    tile = FolderTiles(tmp_path).read(ZOOM, column, row)
    wanted = np.full((256, 256), 255)
    wanted[:50, :40] = wanted[200:, 200:] = 0
    assert np.array_equal(tile[..., 3], wanted)
    assert not tile[wanted == 0].any() and (tile[105, 110] == 255).all()


def test_a_zoom_that_is_not_stored_is_the_mean_of_four_children(tmp_path: Path):
    def stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([x // 1 % 2 * 200, 0 * x + 7, y // 1 % 2 * 50], axis=-1)

    source = FolderTiles(write_map(tmp_path, stripes))
    column, row = tile_of()
    tile = source.read(ZOOM - 2, column // 4, row // 4)
    assert tile.shape == (256, 256, 4)
    inside = tile[..., 3] == 255
    assert inside.any() and set(map(tuple, tile[inside][:, :3].tolist())) == {(100, 7, 25)}
    assert source.usable == range(ZOOM - 6, ZOOM + 1)


def test_coverage(tmp_path: Path):
    area = FolderTiles(write_map(tmp_path, reach=1)).coverage()
    width = 3 * 360 / 2**ZOOM
    west, south, east, north = area.bounds
    assert area.geom_type == "Polygon" and east - west == pytest.approx(width)
    assert west < LONGITUDE < east and south < LATITUDE < north
    assert north - south == pytest.approx(width * np.cos(np.radians(LATITUDE)), rel=1e-3)


def test_the_area_of_tiles_with_gaps():
    """Five tiles of zoom 2 at the equator, 90 degrees wide; one stands alone."""
    area = tiles_area(2, np.array([0, 0, 0, 1, 3]), np.array([0, 1, 3, 1, 2]))
    assert area.geom_type == "MultiPolygon" and area.bounds[0] == -180 and area.bounds[2] == 180
    assert sorted(round(part.area / 90 / 66.51326, 3) for part in area.geoms) == [0.279, 1.0, 2.279]


@pytest.mark.parametrize("content", ["", "5/3"])
def test_a_folder_without_tiles_is_refused(tmp_path: Path, content: str):
    (tmp_path / content).mkdir(parents=True, exist_ok=True)
    with pytest.raises(PlacewiseError, match="contains no tiles ZOOM/COLUMN/ROW"):
        FolderTiles(tmp_path)
