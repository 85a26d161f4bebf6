import sqlite3
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from commons.errors import PlacewiseError
from datasets.tiles import archives
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from datasets.tiles.sources import FolderTiles
from tests.datasets.tiles.maps import LATITUDE, LONGITUDE, ZOOM, tile_of, write_map


def tiles(folder: Path):
    for path in sorted(folder.glob("*/*/*.png")):
        yield ZOOM, int(path.parent.name), int(path.stem), path.read_bytes()


def as_mbtiles(folder: Path, path: Path) -> Path:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB)")
        rows = [(zoom, column, 2**zoom - 1 - row, data) for zoom, column, row, data in tiles(folder)]
        file.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    return path


def as_pmtiles(folder: Path, path: Path) -> Path:
    names, writing = pytest.importorskip("pmtiles.tile"), pytest.importorskip("pmtiles.writer")
    west, south, east, north = FolderTiles(folder).coverage().bounds
    bounds = {"min_lon": west, "min_lat": south, "max_lon": east, "max_lat": north}
    header = {f"{key}_e7": round(value * 1e7) for key, value in bounds.items()}
    header |= {"tile_type": names.TileType.PNG, "tile_compression": names.Compression.NONE}
    header |= {"center_zoom": ZOOM, "center_lon_e7": 0, "center_lat_e7": 0}
    with writing.write(str(path)) as writer:
        for zoom, column, row, data in tiles(folder):
            writer.write_tile(names.zxy_to_tileid(zoom, column, row), data)
        writer.finalize(header, {})
    return path


@pytest.mark.parametrize("write", [as_mbtiles, as_pmtiles])
def test_one_file_holds_what_the_folder_holds(write, tmp_path: Path):
    folder = FolderTiles(write_map(tmp_path / "tiles", reach=1))
    source = open_tiles(write(tmp_path / "tiles", tmp_path / write.__name__.replace("as_", "map.")))
    assert (source.zooms, source.tile_size) == (folder.zooms, folder.tile_size)
    column, row = tile_of()
    for east, south in ((0, 0), (-1, 1), (1, 0)):
        key = ZOOM, column + east, row + south
        assert np.array_equal(source.read(*key), folder.read(*key)) and source.read(*key).any()
    assert not source.read(ZOOM, column + 5, row).any() and source.missing == 1
    assert np.allclose(source.coverage().bounds, folder.coverage().bounds, atol=1e-6)


def write_raster(path: Path, crs: str, metres: float = 1.0, side: int = 700, bands: int = 3) -> Path:
    """Stripes 40 m wide along a projected coordinate system's axes, around the position."""
    rasterio = pytest.importorskip("rasterio")
    transform = pytest.importorskip("rasterio.transform")
    east, north = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(LONGITUDE, LATITUDE)
    at = transform.from_origin(east - side * metres / 2, north + side * metres / 2, metres, metres)
    x = (np.arange(side) + 0.5 - side / 2) * metres
    waves = 128 + 100 * np.sin(np.stack(np.meshgrid(x, -x)) / 40)
    pixels = np.stack([*waves, np.full_like(waves[0], 60), np.zeros_like(waves[0])]).round().astype(np.uint8)[:bands]
    options = {"driver": "GTiff", "width": side, "height": side, "count": bands, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=crs, transform=at, **options) as file:
        file.write(pixels)
    return path


def test_a_raster_in_another_projection_lies_in_its_place(tmp_path: Path):
    """A GeoTIFF in UTM: each pixel of a crop shows the colour of its UTM coordinates."""
    source = open_tiles(write_raster(tmp_path / "a.tif", "EPSG:32619"))
    images, seen = AerialTiles([source]).crops(np.array([LATITUDE]), np.array([LONGITUDE]), 1.5, 128)
    assert float(seen) == 1
    # UTM's north turns by 1.4 degrees from true north here; its scale is within 0.04 %.
    project = Transformer.from_crs("EPSG:4326", "EPSG:32619", always_xy=True)
    from pyproj import Geod

    middle = np.array(project.transform(LONGITUDE, LATITUDE))
    for column, row in ((10, 10), (64, 64), (120, 30), (40, 110)):
        right, up = (column + 0.5 - 64) * 1.5, (64 - row - 0.5) * 1.5
        bearing = np.degrees(np.arctan2(right, up))
        lon, lat, _ = Geod(ellps="WGS84").fwd(LONGITUDE, LATITUDE, bearing, np.hypot(right, up))
        wanted = 128 + 100 * np.sin((np.array(project.transform(lon, lat)) - middle) / 40)
        assert np.allclose(images[0, :2, row, column].numpy(), wanted, atol=4)
    assert source.coverage().area == pytest.approx(7e2**2 / 111_080 / 82_360, rel=0.01)


def test_what_lies_beside_a_raster_is_empty(tmp_path: Path):
    source = open_tiles(write_raster(tmp_path / "a.tif", "EPSG:32619"))
    aerial = AerialTiles([source])
    there, edge, away = (LONGITUDE + metres / 82_360 for metres in (0, 350, 9000))
    _, seen = aerial.crops(np.full(3, LATITUDE), np.array([there, edge, away]), 1.0, 100)
    assert seen[0] == 1 and seen[1] == pytest.approx(0.5, abs=0.05) and seen[2] == 0


def test_infrared_is_no_transparency_and_missing_values_are(tmp_path: Path):
    """A fourth band of zeros without the meaning of alpha hides nothing; half of a raster without values is empty."""
    rasterio = pytest.importorskip("rasterio")
    here = np.array([LATITUDE]), np.array([LONGITUDE])
    path = write_raster(tmp_path / "a.tif", "EPSG:32619", bands=4)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [*file.colorinterp[:3], rasterio.enums.ColorInterp.undefined]
    _, seen = AerialTiles([open_tiles(path)]).crops(*here, 1.0, 100)
    assert float(seen) == 1
    path = write_raster(tmp_path / "b.tif", "EPSG:32619")
    with rasterio.open(path, "r+") as file:
        pixels = file.read()
        pixels[:, :350] = 0
        file.write(pixels)
        file.nodata = 0
    images, seen = AerialTiles([open_tiles(path)]).crops(*here, 1.0, 100)
    assert float(seen) == pytest.approx(0.5, abs=0.01) and not images[0, :, 10, 50].any() and images[0, 2, 90, 50] == 60


def test_unusable_files_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, words in (("a.mbtiles", "not an MBTiles"), ("none", "no such folder or file")):
        if name != "none":
            (tmp_path / name).write_bytes(b"text" * 100)
        with pytest.raises(PlacewiseError, match=words):
            open_tiles(tmp_path / name)
    with pytest.raises(PlacewiseError, match="needs the package nosuchpackage: pip install nosuchpackage"):
        archives._package("nosuchpackage.reader", tmp_path / "b.pmtiles")
    pytest.importorskip("rasterio")
    (tmp_path / "c.tif").write_bytes(b"text" * 100)
    with pytest.raises(PlacewiseError, match="not a raster that GDAL can read"):
        open_tiles(tmp_path / "c.tif")
    with pytest.raises(PlacewiseError, match="1 bands of uint8"):
        open_tiles(write_raster(tmp_path / "d.tif", "EPSG:32619", bands=1))


def test_vector_tiles_are_refused(tmp_path: Path):
    path = tmp_path / "v.mbtiles"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB)")
        file.execute("INSERT INTO tiles VALUES (3, 1, 1, ?)", (b"\x1f\x8b vector",))
    with pytest.raises(PlacewiseError, match="vector tiles are not supported"):
        open_tiles(path)
