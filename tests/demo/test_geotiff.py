"""GeoTIFFs as other programs read them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.geotiff import write_geotiff

EAST, NORTH, METRES = 395_500.0, 4_991_500.0, 0.2


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A picture of 80 x 50 pixels in blocks of 32, each of one colour."""
    colours = np.random.default_rng(0).integers(30, 220, (2, 3, 3), dtype=np.uint8)
    blocks = []
    for colour in colours.reshape(-1, 3):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), tuple(map(int, colour))).save(file, "JPEG", quality=95, subsampling=0)
        blocks.append(file.getvalue())
    write_geotiff(tmp_path / "a.tif", iter(blocks), (80, 50), 32, (EAST, NORTH), METRES, 32632)
    return tmp_path / "a.tif", colours.repeat(32, axis=0).repeat(32, axis=1)[:50, :80].astype(int)


def test_pillow_reads_pixels_and_tags(written: tuple[Path, np.ndarray]):
    path, wanted = written
    with Image.open(path) as image:
        assert image.size == (80, 50) and image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - wanted).max() <= 3
        assert image.tag_v2[33550] == (METRES, METRES, 0) and image.tag_v2[33922] == (0, 0, 0, EAST, NORTH, 0)


def test_rasterio_reads_pixels_and_place(written: tuple[Path, np.ndarray]):
    rasterio = pytest.importorskip("rasterio")
    path, wanted = written
    with rasterio.open(path) as file:
        assert np.abs(file.read().transpose(1, 2, 0).astype(int) - wanted).max() <= 3
        assert file.crs.to_epsg() == 32632
        assert tuple(file.bounds) == pytest.approx((EAST, NORTH - 10, EAST + 16, NORTH))
