"""The cells of a region and the aerial images of them, from flags and the folder of a data set."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import torch
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from cells.polygons import read_polygons
from cells.region import RegionCells, cut_region
from commons.errors import ArgumentError
from commons.files import CACHE
from commons.sphere import unit_vectors
from datasets.tiles.crops import AerialTiles
from demo.write import demo_or_folder, demo_path
from tasks.aerial_cells import CACHE_MB, open_aerial

AT_ONCE = 1_000_000  # cells whose distances are computed together


@dataclass(frozen=True)
class Region:
    """Where photos are searched.

    Attributes:
        aerial: aerial images.
        shape: the region in degrees (x is longitude).
        cells: cells that it is divided into.
    """

    aerial: AerialTiles
    shape: BaseGeometry
    cells: RegionCells

    def holds(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Returns which points lie in the region, bool (n,)."""
        return shapely.contains_xy(self.shape, longitude, latitude)

    def __str__(self) -> str:
        return f"{len(self.cells)} cells of {self.cells.grid.size_m:g} m, tiles of {len(self.aerial.sources)} source(s)"


def find_tiles(tiles: Sequence[str], folder: str | Path | None, trained: Mapping[str, Any]) -> list[str]:
    """Returns the sources of tiles: those of `tiles`, else tiles/ in the folder, else those of the training.

    Those in a demo data set, such as demo-aerial/tiles, are made at first use.

    Raises:
        ArgumentError: if there are none.
    """
    own, before = Path(folder or "") / "tiles", trained.get("dataset_folder")
    if not tiles and folder and own.is_dir():
        return [str(own)]
    if named := tiles or trained.get("tiles"):
        return [demo_path(path, CACHE) for path in named]
    if isinstance(before, str) and (there := Path(demo_or_folder(before, CACHE)) / "tiles").is_dir():
        return [str(there)]
    where = f", and there is no folder {own}" if folder else ""
    raise ArgumentError("tiles", f"contains no aerial images{where}: give folders or files of tiles")


def open_region(
    tiles: Sequence[str],
    geojson: str | None,
    folder: str | Path | None,
    cell_size: float,
    device: torch.device,
    cache_mb: float = CACHE_MB,
) -> Region:
    """Opens tiles and divides a region into cells.

    Args:
        tiles: sources.
        geojson: outline of the region, which may lie in a demo data set; None for region.geojson in `folder`, or for
            all that the tiles cover.
        folder: folder of the data set.
        cell_size: side of a cell in metres.
        device: device of the aerial images.
        cache_mb: memory of decoded tiles.

    Raises:
        PlacewiseError: if a file is missing or holds nothing.
        ArgumentError: if the region lies outside of the tiles.
    """
    aerial = open_aerial(tiles, device, cache_mb)
    coverage = aerial.coverage()
    own = None if folder is None else Path(folder) / "region.geojson"
    outline = geojson or (own if own is not None and own.is_file() else None)
    shape = coverage if outline is None else shapely.union_all(read_polygons(demo_path(str(outline), CACHE)).shapes)
    if not shape.intersects(coverage):
        raise ArgumentError("geojson", f"{outline} lies outside of the tiles {', '.join(map(str, tiles))}")
    found = Region(aerial, shape, cut_region(shape, cell_size))
    logging.info(f"Region: {found}")
    return found


def nearest_cells(cells: RegionCells, latitude: np.ndarray, longitude: np.ndarray, most: int) -> np.ndarray:
    """Returns the cells nearest to some points, at most so many, ascending int64; all if there are not more.

    Args:
        cells: cells of the region.
        latitude, longitude: of the points in degrees, (n,).
        most: number of cells.
    """
    if len(cells) <= most:
        return np.arange(len(cells))
    tree = cKDTree(unit_vectors(latitude, longitude))
    parts = [cells.centres(slice(start, start + AT_ONCE)) for start in range(0, len(cells), AT_ONCE)]
    away = np.concatenate([tree.query(unit_vectors(*part))[0].astype(np.float32) for part in parts])
    return np.sort(np.argpartition(away, most)[:most])
