"""Sources of map tiles: folders z/x/y, MBTiles, PMTiles, and whatever raster GDAL reads.

A source gives the decoded tile of a zoom, column and row. Zooms that it does not store are made of their four
children, so that a folder with one zoom serves crops of any resolution.
"""

import io
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import shapely
from PIL import Image
from shapely.geometry.base import BaseGeometry

from commons.errors import PlacewiseError, first_line
from datasets.decoding import PILLOW_ERRORS
from datasets.tiles.mercator import from_world

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")
WHITE, WHITE_SIDE = 255, 31  # white squares of so many pixels are no roof, but where a survey has ended
COARSER = 6  # zooms at most that are made of finer ones: 4^6 tiles


class TileSource(ABC):
    """Square tiles of Web Mercator.

    Attributes:
        name: name of the file or folder.
        zooms: zooms that are stored, sorted.
        tile_size: side of a tile in pixels.
        missing: tiles asked for that are not there.
        corrupt: names of tiles that could not be decoded or have another size; they count as empty.
    """

    def __init__(self, name: str | Path, zooms: Iterable[int], tile_size: int) -> None:
        self.name, self.zooms, self.tile_size = str(name), sorted(zooms), tile_size
        self.missing, self.corrupt = 0, set()
        self._lock = threading.Lock()

    @abstractmethod
    def coverage(self) -> BaseGeometry:
        """Returns the area that has tiles, in degrees (x is longitude)."""

    @abstractmethod
    def _stored(self, zoom: int, column: int, row: int) -> np.ndarray | None:
        """Returns a stored tile, uint8 RGBA (s, s, 4), None if it is not there."""

    @property
    def usable(self) -> range:
        """The zooms that `read` gives."""
        return range(max(self.zooms[0] - COARSER, 0), self.zooms[-1] + 1)

    def read(self, zoom: int, column: int, row: int) -> np.ndarray:
        """Returns a tile, uint8 (s, s, 4): red, green, blue, and 255 or 0 for a pixel that is empty, whose colour is 0.

        Transparent pixels, white areas that hold a square of WHITE_SIDE pixels, and tiles that are missing or corrupt
        are empty.

        Args:
            zoom: one of `usable`.
            column, row: from 0 to 2^zoom - 1; columns outside go around the earth, rows outside are empty.
        """
        if not 0 <= row < 2**zoom:
            return self._empty()
        column %= 2**zoom
        if zoom not in self.zooms:
            children = [[self.read(zoom + 1, 2 * column + x, 2 * row + y) for x in (0, 1)] for y in (0, 1)]
            return _halved(np.concatenate([np.concatenate(pair, axis=1) for pair in children]))
        tile = self._stored(zoom, column, row)
        if tile is None:
            with self._lock:
                self.missing += 1
            return self._empty()
        white = _white_areas(tile)
        if white is None and tile[..., 3].min() == 255:
            return tile
        seen = tile[..., 3] >= 128
        if white is not None:
            seen &= ~white
        return np.dstack([tile[..., :3] * seen[..., None], seen.astype(np.uint8) * 255])

    def _empty(self) -> np.ndarray:
        return np.zeros((self.tile_size, self.tile_size, 4), np.uint8)

    def _decoded(self, data: bytes, name: str) -> np.ndarray:
        """Returns the pixels of an encoded tile; an empty one if it is corrupt, which is counted."""
        try:
            pixels = decode_tile(data)
            if pixels.shape[:2] == (self.tile_size, self.tile_size):
                return pixels
            problem = f"{pixels.shape[1]}x{pixels.shape[0]} pixels instead of {self.tile_size}x{self.tile_size}"
        except OSError as error:
            problem = first_line(error)
        with self._lock:
            if name not in self.corrupt:
                self.corrupt.add(name)
                logging.warning(f"tile {name} cannot be used and counts as empty: {problem}")
        return self._empty()


class FolderTiles(TileSource):
    """A folder of zoom/column/row.png, .jpg, .jpeg or .webp; row 0 is in the north."""

    def __init__(self, folder: str | Path) -> None:
        """Raises PlacewiseError if there is no tile in the folder."""
        self.folder = Path(folder)
        zooms = [int(path.name) for path in self.folder.iterdir() if path.is_dir() and path.name.isdecimal()]
        zooms = [zoom for zoom in zooms if next(self._files(zoom), None)]
        if not zooms:
            raise PlacewiseError(f"{folder}: contains no tiles ZOOM/COLUMN/ROW of type {', '.join(EXTENSIONS)}")
        first = next(self._files(max(zooms)))
        try:
            with Image.open(first) as image:
                size = image.width
        except PILLOW_ERRORS as error:
            raise PlacewiseError(f"{first}: this tile cannot be read ({first_line(error)})") from error
        super().__init__(folder, zooms, size)

    def _files(self, zoom: int) -> Iterable[Path]:
        for column in sorted((self.folder / str(zoom)).iterdir()):
            if column.name.isdecimal() and column.is_dir():
                yield from (p for p in sorted(column.iterdir()) if p.suffix in EXTENSIONS and p.stem.isdecimal())

    def _stored(self, zoom: int, column: int, row: int) -> np.ndarray | None:
        for extension in EXTENSIONS:
            path = self.folder / str(zoom) / str(column) / f"{row}{extension}"
            try:
                return self._decoded(path.read_bytes(), str(path))
            except FileNotFoundError:
                continue
        return None

    def coverage(self) -> BaseGeometry:
        zoom = self.zooms[-1]
        numbers = np.array([(int(path.parent.name), int(path.stem)) for path in self._files(zoom)])
        return tiles_area(zoom, numbers[:, 0], numbers[:, 1])


def decode_tile(data: bytes) -> np.ndarray:
    """Returns an encoded image of any mode as uint8 RGBA (h, w, 4).

    Raises:
        OSError: if it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert("RGBA"))
    except PILLOW_ERRORS as error:
        raise OSError(str(error)) from error


def _white_areas(tile: np.ndarray) -> np.ndarray | None:
    """Returns which pixels lie in white squares, bool (h, w); None if there are too few for one."""
    white = cv2.inRange(tile, (WHITE, WHITE, WHITE, 0), (WHITE, WHITE, WHITE, 255))
    if cv2.countNonZero(white) < WHITE_SIDE**2:
        return None
    return cv2.morphologyEx(white, cv2.MORPH_OPEN, np.ones((WHITE_SIDE, WHITE_SIDE), np.uint8)) > 0


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Returns the mean of the pixels of each 2x2 square that are not empty; empty where fewer than two are not."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    squares = pixels.reshape(height, 2, width, 2, 4).astype(np.uint16)
    sums = squares.sum(axis=(1, 3))
    seen = sums[..., 3:] // 255
    colours = (sums[..., :3] + seen // 2) // np.maximum(seen, 1) * (seen >= 2)
    return np.concatenate([colours, (seen >= 2) * 255], axis=2).astype(np.uint8)


def tiles_area(zoom: int, columns: np.ndarray, rows: np.ndarray) -> BaseGeometry:
    """Returns the union of tiles in degrees.

    Args:
        zoom: zoom of the tiles.
        columns, rows: of the tiles, int (n,).
    """
    order = np.lexsort((rows, columns))
    columns, rows = columns[order], rows[order]
    # Tiles of a column that follow each other make one box.
    starts = np.flatnonzero(np.r_[True, (np.diff(columns) != 0) | (np.diff(rows) > 1)])
    ends = np.r_[starts[1:], len(rows)] - 1
    north, west = from_world(columns[starts] / 2**zoom, rows[starts] / 2**zoom)
    south, east = from_world((columns[starts] + 1) / 2**zoom, (rows[ends] + 1) / 2**zoom)
    return shapely.union_all(shapely.box(west, south, east, north))
