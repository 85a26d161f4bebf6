"""Processor time to cut aerial crops from tiles: python -m benchmarks.tiles

Neighbouring cells of 30 m, row by row, each a pyramid of four crops (0.22 to 1.76 m per pixel) at a random bearing,
from JPEG tiles of 256 pixels at all zooms that these need. Placewise's cache starts empty. The other way takes each
crop alone with Pillow: open its tiles, paste them together, turn them at twice the size and shrink to the mean. Prints
medians of alternating runs, and how far the two ways' pixels are apart.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from benchmarks.common import machine, medians, print_table
from commons.sphere import from_local_km
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles
from datasets.tiles.mercator import crop_matrices, to_world, world_per_metre

LATITUDE, LONGITUDE = 42.36, -71.06
FINEST, COARSEST, SIDE = 19, 16, 256
METRES, SIZE, LEVELS, CELL_KM, BATCH = 0.22, 384, 4, 0.03, 16


def write_tiles(folder: Path, reach_metres: float) -> None:
    """Writes JPEG tiles of three kinds of noise around the position."""
    draw = np.random.default_rng(0)
    for zoom in range(COARSEST, FINEST + 1):
        reach = reach_metres * world_per_metre(LATITUDE)[0]
        x, y = to_world(LATITUDE, LONGITUDE)
        for column in range(int((x - reach) * 2**zoom), int((x + reach) * 2**zoom) + 1):
            (folder / str(zoom) / str(column)).mkdir(parents=True)
            for row in range(int((y - reach) * 2**zoom), int((y + reach) * 2**zoom) + 1):
                layers = [Image.fromarray(draw.integers(0, 256, (n, n, 3), np.uint8)) for n in (4, 32, 128)]
                layers = [np.asarray(layer.resize((SIDE, SIDE)), np.float32) for layer in layers]
                pixels = 0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]
                path = folder / str(zoom) / str(column) / f"{row}.jpg"
                Image.fromarray(pixels.astype(np.uint8)).save(path, quality=85)


def with_pillow(folder: Path, latitude: float, longitude: float, metres: float, bearing: float) -> Image.Image:
    """Cuts one crop."""
    at = [np.array([value]) for value in (latitude, longitude, bearing, metres)]
    matrix = crop_matrices(*at, SIZE)[0]
    pixel = metres * max(world_per_metre(latitude))
    zoom = min(max(math.ceil(-math.log2(pixel * SIDE) - 0.01), COARSEST), FINEST)
    matrix = matrix * SIDE * 2.0**zoom
    corners = matrix @ np.array([(0, 0, 1), (SIZE, 0, 1), (0, SIZE, 1), (SIZE, SIZE, 1)]).T
    left, top = np.floor((corners.min(axis=1) - 1) / SIDE).astype(int)
    right, bottom = np.floor((corners.max(axis=1) + 1) / SIDE).astype(int)
    canvas = Image.new("RGB", ((right - left + 1) * SIDE, (bottom - top + 1) * SIDE))
    for column in range(left, right + 1):
        for row in range(top, bottom + 1):
            path = folder / str(zoom) / str(column) / f"{row}.jpg"
            if path.exists():
                canvas.paste(Image.open(path), ((column - left) * SIDE, (row - top) * SIDE))
    matrix[:, 2] -= left * SIDE, top * SIDE
    matrix[:, :2] /= 2
    turned = canvas.transform(
        (2 * SIZE, 2 * SIZE), Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BILINEAR
    )
    return turned.resize((SIZE, SIZE), Image.Resampling.BOX)


def cells(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns latitude, longitude and bearing of side x side cells, row by row."""
    north, east = (CELL_KM * (axis.ravel() - side / 2) for axis in np.mgrid[:side, :side])
    return *from_local_km(east, north, LATITUDE, LONGITUDE), np.random.default_rng(1).uniform(0, 360, side**2)


def processor_seconds(work, *arguments: object) -> float:
    """Processor time of all threads of one call."""
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


def placewise(folder: Path, side: int) -> torch.Tensor:
    """Cuts all crops in batches; returns the last batch, (b, levels, 3, h, w)."""
    aerial = AerialTiles([open_tiles(folder)])
    for part in zip(*(np.array_split(column, max(side**2 // BATCH, 1)) for column in cells(side)), strict=True):
        images, _ = aerial.pyramids(*part[:2], METRES, SIZE, LEVELS, part[2])
    return images


def pillow(folder: Path, side: int) -> list[Image.Image]:
    """Cuts all crops one by one; returns those of the last cell."""
    for latitude, longitude, bearing in zip(*cells(side), strict=True):
        found = [with_pillow(folder, latitude, longitude, METRES * 2**level, bearing) for level in range(LEVELS)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=12, help="cells along a side (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each way (default: %(default)s)")
    args = parser.parse_args()
    print(machine())
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_tiles(folder, 1000 * CELL_KM * args.side / 2 + METRES * 2**LEVELS * SIZE / 2)
        other = np.stack([np.asarray(image) for image in pillow(folder, args.side)]).astype(float)
        own = placewise(folder, args.side)[-1].permute(0, 2, 3, 1).numpy()
        ways = {way.__name__: partial(processor_seconds, way, folder, args.side) for way in (placewise, pillow)}
        times, crops = medians(ways, args.runs), LEVELS * args.side**2
        header = ("way", "crops", "processor ms/crop", "times as fast")
        print_table(header, [(n, crops, 1000 * t / crops, times["pillow"] / t) for n, t in times.items()])
        print(f"mean difference of the last pyramid: {np.abs(own - other).mean():.2f} of 255")


if __name__ == "__main__":
    main()
