"""Hexagonal cells of H3, where its package is installed."""

from types import ModuleType
from typing import Self

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from cells.base import Cells, Points
from cells.rings import polygon_of_ring
from commons.errors import ArgumentError, PlacewiseError

MAX_LEVEL = 15


def library() -> ModuleType:
    """Returns H3's functions on numbers. Raises PlacewiseError if the package is not installed."""
    try:
        from h3.api import basic_int
    except ImportError as error:
        raise PlacewiseError("H3 cells need the package h3: pip install h3") from error
    return basic_int


class HexagonCells(Cells):
    """Cells of one level of H3 (https://h3geo.org), hexagons but for 12 pentagons; points may lie in none."""

    kind = "h3"
    by_hierarchy = True

    def __init__(self, ids: np.ndarray) -> None:
        """Args:
        ids: uint64 (K,), in ascending order, of one level.
        """
        h3 = library()
        self.ids, self.level = ids, h3.get_resolution(int(ids[0]))
        centre = np.array([h3.cell_to_latlng(int(number)) for number in ids]).T
        super().__init__(np.array([h3.int_to_str(int(number)) for number in ids], dtype=object), Points(*centre))

    def _assign(self, points: Points) -> np.ndarray:
        numbers = hexagons(points, self.level)
        found = np.minimum(np.searchsorted(self.ids, numbers), len(self) - 1)
        return np.where(self.ids[found] == numbers, found, -1)

    def groups_in(self, coarse: Cells) -> tuple[np.ndarray, np.ndarray]:
        """Returns H3's own parents at the level of `coarse`, which reach a little over the edges of larger hexagons."""
        h3 = library()
        parents = np.array([h3.cell_to_parent(int(number), coarse.level) for number in self.ids], np.uint64)
        used, groups = np.unique(parents, return_inverse=True)
        return groups, np.array([h3.int_to_str(int(number)) for number in used], dtype=object)

    def polygon(self, cell: int) -> BaseGeometry:
        return polygon_of_ring(*np.array(library().cell_to_boundary(int(self.ids[cell]))).T)

    def keys(self) -> dict[str, pa.Array]:
        return {"h3_id": pa.array(self.ids, pa.uint64())}

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        return cls(keys["h3_id"].to_numpy())


def hexagons(points: Points, level: int) -> np.ndarray:
    """Returns the id of the hexagon of each point, uint64 (n,)."""
    to_cell = library().latlng_to_cell
    pairs = zip(points.latitude.tolist(), points.longitude.tolist(), strict=True)
    return np.fromiter((to_cell(lat, lon, level) for lat, lon in pairs), np.uint64, len(points.latitude))


def h3(photos: Points, *, level: int = 3, min_images: int = 1) -> HexagonCells:
    """Hexagons of equal size (H3, https://h3geo.org); needs `pip install h3`.

    Coarser resolutions are unions of these hexagons by H3's own parents, so they are nested exactly.

    Args:
        photos: training photos.
        level: H3's resolution, from 0 (4.4 million km2 a cell) to 15; each level has a seventh of the area,
            and level 3 has 12,400 km2.
        min_images: a cell with fewer photos is dropped.
    """
    if level > MAX_LEVEL:
        raise ArgumentError("cell_options", f"level={level} must be at most {MAX_LEVEL}")
    ids, images = np.unique(hexagons(photos, level), return_counts=True)
    ids = ids[images >= min_images]
    if not len(ids):
        raise ArgumentError(
            "cell_options",
            f"min_images={min_images}: no cell contains that many of the {len(photos.latitude)} photos; lower it",
        )
    return HexagonCells(ids)
