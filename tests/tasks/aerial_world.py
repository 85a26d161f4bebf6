"""A small region with aerial images, and a network that compares pixels; photos are aerial images of a place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from shapely.geometry import box
from torch import nn
from torch.nn import functional as F

from cells.region import RegionCells, cut_region
from commons.checkpoints import save_safetensors
from commons.sphere import from_local_km
from datasets.tiles.mercator import to_world
from model.two_towers import TwoTowers
from retrieval.cell_index import Rows, build_index
from retrieval.index import Flat
from tasks.aerial_cells import extract_cells, open_aerial
from tasks.reference_database import (
    CELLS,
    FEATURES,
    FILLED,
    INDEX,
    WEIGHTS,
    ReferenceDatabase,
    rows_of,
    save_about,
    share_to_byte,
)

AT = 50.0, 8.0
ZOOM, SIDE = 17, 256  # a pixel is 0.77 m
CONFIG = {
    "image_size": [48, 48], "metres_per_pixel": 2.0, "aerial_size": 48, "levels": 1, "cell_size": 30.0,
    "aerial_bearing": "random",
}  # fmt: skip


class PixelTowers(nn.Module):
    """Descriptors are 12 x 12 mean colours, less their mean, of unit length."""

    descriptor_dim = 432

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def street(self, images: torch.Tensor) -> torch.Tensor:
        pixels = F.adaptive_avg_pool2d(images.float() / (255 if images.dtype == torch.uint8 else 1), 12)
        found = (pixels - pixels.mean(dim=(2, 3), keepdim=True)).flatten(1)
        return F.normalize(self.scale * found, dim=1)

    def embed_aerial(self, pyramids: torch.Tensor) -> torch.Tensor:
        return self.street(pyramids[:, 0])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.embed_aerial(images) if images.ndim == 5 else self.street(images)


class PixelDatabase:
    """A reference database in memory."""

    def __init__(self, cells: RegionCells, tiles: Sequence[str], **config: object) -> None:
        self.cells, self.tiles, self.config = cells, list(tiles), CONFIG | config
        parts = extract_cells(PixelTowers(), open_aerial(self.tiles), *cells.centres(), self.config)
        self.descriptors = np.concatenate([own[1] for own in parts])
        self.empty = np.zeros(0, np.int64)

    def towers(self) -> tuple[nn.Module, dict]:
        return PixelTowers().eval(), self.config

    def search(self, descriptors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        similar, order = Flat(self.rows).search(descriptors, min(k, len(self.rows)))
        return similar, self.rows.positions(order)

    @property
    def rows(self) -> Rows:
        return Rows(self.descriptors, np.setdiff1d(np.arange(len(self.cells)), self.empty))


def write_tiles(folder: Path) -> Path:
    """Writes 4 x 4 tiles of smooth noise around AT."""
    x, y = (int(axis * 2**ZOOM) for axis in to_world(*AT))
    noise = np.random.default_rng(0).normal(size=(4 * SIDE, 4 * SIDE, 3))
    smooth = gaussian_filter(noise, (20, 20, 0))
    picture = np.clip(128 + 60 * smooth / smooth.std(), 0, 250).astype(np.uint8)
    for column in range(4):
        for row in range(4):
            path = folder / str(ZOOM) / str(x + column - 2) / f"{y + row - 2}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = picture[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            Image.fromarray(part).save(path)
    return folder


def region(half_m: float = 130.0, size_m: float = 30.0) -> RegionCells:
    """Cells around AT, by default about 90."""
    (south, north), (west, east) = from_local_km(*np.array([[-half_m, half_m]] * 2) / 1000, *AT)
    return cut_region(box(west, south, east, north), size_m)


def write_photos(folder: Path, tiles: Path, east: np.ndarray, north: np.ndarray, bearing: np.ndarray) -> Path:
    """Writes aerial images as photos: positions in metres from AT, and headings, stand in their names."""
    latitude, longitude = from_local_km(east / 1000, north / 1000, *AT)
    images, _ = open_aerial([str(tiles)]).crops(latitude, longitude, 2.0, 48, bearing)
    folder.mkdir(parents=True, exist_ok=True)
    for row, image in enumerate(images):
        name = f"@@@@@{latitude[row]:.7f}@{longitude[row]:.7f}@@@{bearing[row]:.0f}@@@@@day{row:03d}@.png"
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name)
    return folder


def write_database(
    folder: str | Path,
    cells: RegionCells,
    descriptors: np.ndarray,
    filled: np.ndarray,
    network: TwoTowers,
    config: Mapping[str, Any],
    tiles: Sequence[str],
    index: str = "flat",
) -> ReferenceDatabase:
    """Writes a database from arrays in memory and opens it.

    Args:
        folder: which is made.
        cells: of the region.
        descriptors: of unit length, float16 or float32 (n, d).
        filled: share of each cell's image that is not empty, float (n,).
        network, config: the towers and their configuration.
        tiles: sources of the aerial images.
        index: flat, hnsw or ivfpq.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells.save(folder / CELLS)
    shares = share_to_byte(np.asarray(filled))
    (folder / FILLED).write_bytes(shares.tobytes())
    kept = np.where(shares[:, None] > 0, descriptors, 0).astype(descriptors.dtype)
    (folder / FEATURES).write_bytes(kept.tobytes())
    save_safetensors(network.state_dict(), {"targets": {}, **config}, folder / WEIGHTS)
    if index != "flat":
        build_index(index, rows_of(kept, shares), folder / INDEX)
    save_about(
        folder,
        {
            "cells": len(cells), "cell_size": cells.grid.size_m, "descriptor_dim": descriptors.shape[1],
            "descriptor_type": str(descriptors.dtype), "index": index, "tiles": list(tiles),
        },
    )  # fmt: skip
    return ReferenceDatabase.open(folder)
