"""Tiles in one file: MBTiles, PMTiles, and rasters such as GeoTIFF."""

import math
import sqlite3
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from commons.errors import PlacewiseError, first_line
from datasets.geodesy import WGS84_A
from datasets.tiles.sources import FolderTiles, TileSource, decode_tile, tiles_area

HALF_WORLD = math.pi * WGS84_A  # metres of EPSG:3857
RASTER_TILE, RASTER_ZOOMS = 256, 8


def open_tiles(path: str | Path) -> TileSource:
    """Opens a folder z/x/y, or a file by its extension: .mbtiles, .pmtiles, and everything else as a raster.

    Raises:
        PlacewiseError: if there is no such path, it holds no tiles, or the package that reads it is missing.
    """
    path = Path(path)
    if not path.exists():
        raise PlacewiseError(f"{path}: there is no such folder or file of tiles")
    if path.is_dir():
        return FolderTiles(path)
    return {".mbtiles": MBTiles, ".pmtiles": PMTiles}.get(path.suffix.lower(), RasterTiles)(path)


def _package(name: str, path: Path) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise PlacewiseError(f"{path}: needs the package {package}: pip install {package}") from error


class MBTiles(TileSource):
    """An SQLite file of images (https://github.com/mapbox/mbtiles-spec); its rows count from the south."""

    def __init__(self, path: str | Path) -> None:
        """Raises PlacewiseError if it is no such file or holds no images."""
        try:
            self._file = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            zooms = [row[0] for row in self._file.execute("SELECT DISTINCT zoom_level FROM tiles")]
            first = self._file.execute("SELECT tile_data FROM tiles ORDER BY zoom_level DESC LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            raise PlacewiseError(f"{path}: is not an MBTiles file ({first_line(error)})") from error
        super().__init__(path, zooms, _side(first and first[0], path))

    def _stored(self, zoom: int, column: int, row: int) -> np.ndarray | None:
        select = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        with self._lock:
            found = self._file.execute(select, (zoom, column, 2**zoom - 1 - row)).fetchone()
        return found and self._decoded(found[0], f"{zoom}/{column}/{row} of {self.name}")

    def coverage(self) -> BaseGeometry:
        zoom = self.zooms[-1]
        with self._lock:
            found = self._file.execute("SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ?", (zoom,))
            numbers = np.array(found.fetchall())
        return tiles_area(zoom, numbers[:, 0], 2**zoom - 1 - numbers[:, 1])


class PMTiles(TileSource):
    """A PMTiles file of images (https://github.com/protomaps/PMTiles), read by the package pmtiles."""

    def __init__(self, path: str | Path) -> None:
        """Raises PlacewiseError if it is no such file, holds no images, or the package is missing."""
        reader = _package("pmtiles.reader", Path(path))
        self._handle = open(path, "rb")  # noqa: SIM115
        try:
            source = reader.MmapSource(self._handle)
            self._reader = reader.Reader(source)
            self._header = self._reader.header()
            first = next(reader.all_tiles(source), None)
        except Exception as error:  # the package raises its own and those of struct and gzip
            raise PlacewiseError(f"{path}: is not a PMTiles file ({first_line(error)})") from error
        zooms = range(self._header["min_zoom"], self._header["max_zoom"] + 1)
        super().__init__(path, zooms, _side(first and first[1], path))

    def _stored(self, zoom: int, column: int, row: int) -> np.ndarray | None:
        with self._lock:
            data = self._reader.get(zoom, column, row)
        return data and self._decoded(data, f"{zoom}/{column}/{row} of {self.name}")

    def coverage(self) -> BaseGeometry:
        """Returns the box that the file's header names."""
        return shapely.box(*(self._header[f"{key}_e7"] / 1e7 for key in ("min_lon", "min_lat", "max_lon", "max_lat")))


class RasterTiles(TileSource):
    """A GeoTIFF, COG or other raster in any coordinate system, read and projected by rasterio.

    Its zooms end with the first that is at least as fine as its pixels. Coarser ones are averages, which GDAL takes
    from the file's overviews where there are any.
    """

    def __init__(self, path: str | Path) -> None:
        """Raises PlacewiseError if it is no raster with three bands and a coordinate system, or rasterio is missing."""
        self._rasterio = _package("rasterio", Path(path))
        names = ("rasterio.vrt", "rasterio.warp", "rasterio.windows")
        warping, warp, self._windows = map(import_module, names)
        try:
            self._file = self._rasterio.open(path)
        except self._rasterio.errors.RasterioError as error:
            raise PlacewiseError(f"{path}: is not a raster that GDAL can read ({first_line(error)})") from error
        if self._file.crs is None:
            raise PlacewiseError(f"{path}: has no coordinate system; add one with gdal_edit.py -a_srs")
        if self._file.count < 3 or self._file.dtypes[0] != "uint8":
            raise PlacewiseError(
                f"{path}: has {self._file.count} bands of {self._file.dtypes[0]}; three of uint8 (RGB) are needed"
            )
        bounds = warp.transform_bounds(self._file.crs, "EPSG:3857", *self._file.bounds)
        shape = self._file.width, self._file.height
        size = warp.calculate_default_transform(self._file.crs, "EPSG:3857", *shape, *self._file.bounds)[0].a
        self._finest = max(math.ceil(math.log2(2 * HALF_WORLD / (RASTER_TILE * size)) - 0.01), 0)
        super().__init__(path, range(max(self._finest - RASTER_ZOOMS, 0), self._finest + 1), RASTER_TILE)
        # A fourth band may be infrared light.
        count, kinds = self._file.count, self._rasterio.enums.ColorInterp
        has_alpha = self._file.colorinterp[-1] == kinds.alpha
        self._bands = 1, 2, 3, count if has_alpha else count + 1
        self._warped = warping.WarpedVRT(self._file, add_alpha=not has_alpha, **self._among_tiles(bounds))

    def _among_tiles(self, bounds: tuple[float, float, float, float]) -> dict[str, object]:
        """Returns the grid of the projected raster: whole tiles of the coarsest zoom, so that tiles are windows of it.

        Args:
            bounds: west, south, east and north of the raster in EPSG:3857.
        """
        side = 2 * HALF_WORLD / 2 ** self.zooms[0]
        left, right = (math.floor((x + HALF_WORLD) / side) for x in bounds[::2])
        top, bottom = (math.floor((HALF_WORLD - y) / side) for y in bounds[:0:-2])
        pixels = RASTER_TILE * 2 ** (self._finest - self.zooms[0])
        self._origin = left * pixels, top * pixels
        corner = left * side - HALF_WORLD, HALF_WORLD - top * side
        return {
            "crs": "EPSG:3857",
            "resampling": self._rasterio.enums.Resampling.bilinear,
            "transform": self._rasterio.transform.from_origin(*corner, side / pixels, side / pixels),
            "width": (right - left + 1) * pixels,
            "height": (bottom - top + 1) * pixels,
        }

    def _stored(self, zoom: int, column: int, row: int) -> np.ndarray | None:
        side = RASTER_TILE * 2 ** (self._finest - zoom)
        left, top = column * side - self._origin[0], row * side - self._origin[1]
        if not (0 <= left < self._warped.width and 0 <= top < self._warped.height):
            return None
        window, shape = self._windows.Window(left, top, side, side), (4, RASTER_TILE, RASTER_TILE)
        average = self._rasterio.enums.Resampling.average
        with self._lock:
            bands = self._warped.read(self._bands, window=window, out_shape=shape, resampling=average)
        return np.ascontiguousarray(bands.transpose(1, 2, 0))

    def coverage(self) -> BaseGeometry:
        """Returns the outline of the raster, empty borders included."""
        outline = shapely.segmentize(shapely.box(*self._file.bounds), max(self._file.res) * 1000)
        project = import_module("pyproj").Transformer.from_crs(self._file.crs, "EPSG:4326", always_xy=True).transform
        return shapely.transform(outline, lambda points: np.stack(project(*points.T), axis=1))


def _side(data: bytes | None, path: str | Path) -> int:
    """Returns the side of an encoded tile in pixels."""
    if not data:
        raise PlacewiseError(f"{path}: contains no tiles")
    try:
        return decode_tile(data).shape[1]
    except OSError as error:
        raise PlacewiseError(
            f"{path}: its tiles are not images ({first_line(error)}); vector tiles are not supported"
        ) from error
