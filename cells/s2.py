"""Adaptive S2 cells: small where there are many photos."""

from typing import Self

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from cells import s2_ids
from cells.base import Cells, Points
from cells.rings import great_circles, polygon_of_ring
from commons.errors import ArgumentError
from commons.sphere import to_degrees


class S2Cells(Cells):
    """Cells of S2's hierarchy (https://s2geometry.io), none of which holds another; points may lie in none."""

    kind = "s2"

    def __init__(self, ids: np.ndarray) -> None:
        """Args:
        ids: uint64 (K,), in ascending order.
        """
        self.corners, centre = s2_ids.corners(ids)
        super().__init__(s2_ids.tokens(ids), Points(*to_degrees(centre)))
        self.ids, self.first, self.last = ids, s2_ids.first_leaf(ids), s2_ids.last_leaf(ids)

    def _assign(self, points: Points) -> np.ndarray:
        return self.holding(s2_ids.leaf_ids(*points))

    def holding(self, ids: np.ndarray) -> np.ndarray:
        """Returns the cell that holds each S2 cell, int (n,), -1 for none."""
        rows = np.searchsorted(self.first, ids, side="right") - 1
        return np.where((rows >= 0) & (ids <= self.last[rows]), rows, -1)

    def parents_in(self, coarse: Cells) -> np.ndarray:
        return coarse.holding(self.ids) if isinstance(coarse, S2Cells) else super().parents_in(coarse)

    def polygon(self, cell: int) -> BaseGeometry:
        level = int(s2_ids.levels(self.ids[cell : cell + 1])[0])
        return polygon_of_ring(*to_degrees(great_circles(self.corners[cell], max(1, 64 >> level))))

    def keys(self) -> dict[str, pa.Array]:
        return {"s2_id": pa.array(self.ids, pa.uint64())}

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        return cls(keys["s2_id"].to_numpy())


def s2(
    photos: Points, *, max_images: int = 1000, min_images: int = 50, min_level: int = 0, max_level: int = 30
) -> S2Cells:
    """Adaptive cells of S2's hierarchy (PlaNet, https://arxiv.org/abs/1602.05314).

    Starts with the six faces of a cube. A cell with more than max_images photos is replaced by its four children, again
    and again. Cells with fewer than min_images photos are dropped, and their photos with them.

    PlaNet: max_images=10000, min_images=50. ISN (ECCV 2018): min_images=50, min_level=2, and max_images 5000, 2000 and
    1000 for three nested resolutions.

    Args:
        photos: training photos.
        max_images: a cell with more photos is split.
        min_images: a cell with fewer photos is dropped.
        min_level: cells below this level are split; level 0 is a face, and a level more a quarter of the area.
        max_level: cells of this level are not split, 30 at most.
    """
    if not min_level <= max_level <= s2_ids.MAX_LEVEL:
        raise ArgumentError(
            "cell_options",
            f"min_level={min_level} and max_level={max_level}: must satisfy 0 <= min_level <= max_level <= 30",
        )
    ids = partition(np.sort(s2_ids.leaf_ids(*photos)), max_images, min_images, min_level, max_level)
    if not len(ids):
        raise ArgumentError(
            "cell_options",
            f"min_images={min_images}: no cell contains that many of the {len(photos.latitude)} photos; lower it",
        )
    return S2Cells(ids)


def partition(leaves: np.ndarray, max_images: int, min_images: int, min_level: int, max_level: int) -> np.ndarray:
    """Returns the ids of adaptive cells, uint64 (K,), in ascending order.

    A cell's photos are a range of the sorted leaf ids, so a level takes two binary searches for each of its cells.

    Args:
        leaves: ids of the photos' leaf cells, uint64 (n,), in ascending order.
        max_images, min_images, min_level, max_level: as for `s2`.
    """
    ids = np.arange(6, dtype=np.uint64) << np.uint64(61) | np.uint64(1 << 60)
    found = []
    for level in range(max_level + 1):
        first, last = s2_ids.first_leaf(ids), s2_ids.last_leaf(ids)
        counts = np.searchsorted(leaves, last, side="right") - np.searchsorted(leaves, first)
        many = counts >= max(min_images, 1)
        kept = many & ((counts <= max_images) & (level >= min_level) | (level == max_level))
        found.append(ids[kept])
        split = ids[many & ~kept]
        step = s2_ids.lowest_bit(split) >> np.uint64(2)
        start = split - s2_ids.lowest_bit(split) + step  # the first child
        ids = (start[:, None] + np.arange(4, dtype=np.uint64) * (step[:, None] << np.uint64(1))).ravel()
    return np.sort(np.concatenate(found))
