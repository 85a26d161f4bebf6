"""A tiny world of map tiles, and street photos that show the colours of their place."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from datasets.tiles.mercator import from_world

ZOOM, COLUMN, ROW, SIDE = 17, 67_000, 41_000, 3  # tiles of about 175 m


def write_tiles(folder: Path, seed: int = 0) -> Path:
    """Writes SIDE x SIDE tiles of smooth random colours."""
    pixels = 256 * SIDE
    coarse = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    world = cv2.resize(coarse, (pixels, pixels), interpolation=cv2.INTER_CUBIC)
    for x in range(SIDE):
        for y in range(SIDE):
            path = folder / str(ZOOM) / str(COLUMN + x) / f"{ROW + y}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(world[256 * y : 256 * (y + 1), 256 * x : 256 * (x + 1)]).save(path)
    return folder


def position(x: float, y: float) -> tuple[float, float]:
    """Latitude and longitude of a place in shares of the tiles' width and height."""
    latitude, longitude = from_world(np.array([(COLUMN + SIDE * x) / 2**ZOOM]), np.array([(ROW + SIDE * y) / 2**ZOOM]))
    return float(latitude[0]), float(longitude[0])


def photo_name(latitude: float, longitude: float, number: int, heading: str = "") -> str:
    return f"@@@@@{latitude:.6f}@{longitude:.6f}@{number}@@{heading}@@@@@@.jpg"


def write_photos(folder: Path, aerial: AerialTiles, count: int, seed: int, low: float = 0.1, high: float = 0.9) -> None:
    """Writes photos of random places, with the colours of 60 m around them."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        at = position(*draw.uniform(low, high, 2))
        image, _ = aerial.crops(*np.array(at)[:, None], 1.0, 60)
        noisy = image[0].permute(1, 2, 0).numpy().astype(np.int16) + draw.integers(-15, 15, (60, 60, 3))
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        size = (64, 48) if number % 2 else (48, 64)
        picture.resize(size).save(folder / photo_name(*at, number, f"{draw.integers(360):03d}"), quality=90)


def write_world(folder: Path, train: int = 40, others: int = 12) -> Path:
    """Writes tiles/, train/, val/ and test/."""
    aerial = AerialTiles([open_tiles(write_tiles(folder / "tiles"))], cache_mb=16)
    for seed, (split, count) in enumerate((("train", train), ("val", others), ("test", others)), 1):
        write_photos(folder / split, aerial, count, seed)
    return folder
