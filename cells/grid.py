"""Square cells on the ground."""

from typing import Self

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from cells.base import Cells, Points
from cells.rings import polygon_of_box
from commons.errors import ArgumentError
from commons.sphere import EARTH_RADIUS_KM

HALF_KM = np.pi * EARTH_RADIUS_KM  # from pole to pole


class GridCells(Cells):
    """Rows of equal height from the south pole, each cut into a whole number of equal columns from -180 degrees on."""

    kind = "grid"

    def __init__(self, rows: np.ndarray, columns: np.ndarray, size_km: float) -> None:
        """Args:
        rows, columns: of the cells, int (K,), sorted by row and column.
        size_km: side of a cell.
        """
        self.rows, self.columns, self.size_km = rows, columns, size_km
        self.height = 180 / grid_rows(size_km)
        self.width = 360 / row_columns(rows, size_km)
        centre = Points((rows + 0.5) * self.height - 90, (columns + 0.5) * self.width - 180)
        super().__init__(np.array([f"r{r}c{c}" for r, c in zip(rows, columns, strict=True)], dtype=object), centre)
        self._numbers = rows << 32 | columns

    def _assign(self, points: Points) -> np.ndarray:
        row, column = squares(points, self.size_km)
        number = row << 32 | column
        found = np.minimum(np.searchsorted(self._numbers, number), len(self) - 1)
        return np.where(self._numbers[found] == number, found, -1)

    def polygon(self, cell: int) -> BaseGeometry:
        south, west = self.rows[cell] * self.height - 90, self.columns[cell] * self.width[cell] - 180
        return polygon_of_box(south, west, min(south + self.height, 90), min(west + self.width[cell], 180))

    def keys(self) -> dict[str, pa.Array]:
        size = pa.array(np.full(len(self), self.size_km))
        return {"row": pa.array(self.rows), "column": pa.array(self.columns), "size_km": size}

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        return cls(keys["row"].to_numpy(), keys["column"].to_numpy(), float(keys["size_km"][0].as_py()))


def grid_rows(size_km: float) -> int:
    """Returns the number of rows from pole to pole."""
    return max(1, round(HALF_KM / size_km))


def row_columns(rows: np.ndarray, size_km: float) -> np.ndarray:
    """Returns the number of columns of rows, int (n,), so that a cell is about square in the middle of its row."""
    count = grid_rows(size_km)
    middle = np.radians((rows + 0.5) * 180 / count - 90)
    return np.maximum(1, np.rint(2 * count * np.cos(middle))).astype(np.int64)


def squares(points: Points, size_km: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the row and the column of each point, int (n,)."""
    count = grid_rows(size_km)
    row = np.minimum(np.floor((points.latitude + 90) / 180 * count).astype(np.int64), count - 1)
    columns = row_columns(row, size_km)
    return row, np.floor((points.longitude + 180) / 360 * columns).astype(np.int64) % columns


def grid(photos: Points, *, size_km: float = 50.0, min_images: int = 1) -> GridCells:
    """Square cells on the ground, all of about the same size.

    Rows have equal heights. Each row has its own number of columns, so that a cell is about square in the middle of its
    row (https://arxiv.org/abs/2409.16763 divides regions like this).

    Args:
        photos: training photos.
        size_km: side of a cell, rounded so that whole rows fit between the poles.
        min_images: a cell with fewer photos is dropped.
    """
    if size_km <= 0:
        raise ArgumentError("cell_options", f"size_km={size_km:g} must be above 0")
    row, column = squares(photos, size_km)
    numbers, images = np.unique(row << 32 | column, return_counts=True)
    numbers = numbers[images >= min_images]
    if not len(numbers):
        raise ArgumentError(
            "cell_options", f"min_images={min_images}: no cell contains that many of the {len(row)} photos; lower it"
        )
    return GridCells(numbers >> 32, numbers & 0xFFFFFFFF, size_km)
