"""Small maps whose pixels are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.tiles.mercator import to_world

LATITUDE, LONGITUDE = 42.36, -71.06
ZOOM = 17
Painter = Callable[[np.ndarray, np.ndarray], np.ndarray]


def tile_of(latitude: float = LATITUDE, longitude: float = LONGITUDE, zoom: int = ZOOM) -> tuple[int, int]:
    x, y = to_world(latitude, longitude)
    return int(x * 2**zoom), int(y * 2**zoom)


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture, float (..., 3), of the pixels x, y of a map, relative to the tile of the position."""
    return 128 + 100 * np.stack([np.sin(x / 40), np.sin(y / 31), np.sin((x + y) / 57)], axis=-1)


def draw(column: int, row: int, paint: Painter, side: int = 256) -> np.ndarray:
    """A tile, uint8 (side, side, 3), `column` to the east and `row` to the south of that of the position."""
    x, y = np.meshgrid(np.arange(side) + 0.5 + column * side, np.arange(side) + 0.5 + row * side)
    return paint(x, y).round().astype(np.uint8)


def write_map(folder: Path, paint: Painter = waves, reach: int = 2, side: int = 256, name: str = "png", **at) -> Path:
    """Writes the tiles up to `reach` around the position, without loss."""
    column, row = tile_of(**at)
    for east in range(-reach, reach + 1):
        for south in range(-reach, reach + 1):
            path = folder / str(at.get("zoom", ZOOM)) / str(column + east) / f"{row + south}.{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            options = {"lossless": True} if name == "webp" else {}
            Image.fromarray(draw(east, south, paint, side)).save(path, **options)
    return folder
