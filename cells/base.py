"""The interface of all kinds of cells."""

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from commons.sphere import check_degrees, spherical_means, to_local_km, unit_vectors


class Points(NamedTuple):
    """WGS84 latitude and longitude in degrees, float64 (n,)."""

    latitude: np.ndarray
    longitude: np.ndarray

    def take(self, rows: np.ndarray) -> "Points":
        """Returns the points `rows`, numbers or a mask."""
        return Points(self.latitude[rows], self.longitude[rows])

    def different(self) -> int:
        """Returns the number of different positions."""
        return len(np.unique(np.stack(self, axis=1), axis=0))


class Cells(ABC):
    """K cells of the earth that do not overlap; a cell's number is its row, from 0 to K - 1.

    Attributes:
        kind: name in KINDS.
        names: names of the cells, str (K,).
        centre: centre of the cells' shapes.
        point: the answer for a photo in the cell: the mean of its training photos on the sphere, or the centre where
            it has none.
        images: number of training photos, int64 (K,).
        reach_km: how far training photos lie from `point` to the east or west and to the north or south, at most,
            float64 (K, 2): the scale of an offset within the cell.
        parent: cell of the next coarser resolution that holds this one, int32 (K,), -1 if there is none.
    """

    kind: ClassVar[str]
    by_hierarchy: ClassVar[bool] = False  # whether `groups_in` knows a hierarchy instead of comparing centres

    def __init__(self, names: np.ndarray, centre: Points) -> None:
        count = len(names)
        self.names, self.centre, self.point = np.asarray(names, dtype=object), centre, centre
        self.images, self.reach_km = np.zeros(count, np.int64), np.zeros((count, 2))
        self.parent = np.full(count, -1, np.int32)

    def __len__(self) -> int:
        return len(self.names)

    def assign(self, latitude: np.ndarray, longitude: np.ndarray, nearest: bool = False) -> np.ndarray:
        """Returns the cell of each point, int32 (n,); -1 for points in no cell and for NaN.

        Args:
            latitude, longitude: degrees, (n,).
            nearest: whether points in no cell get the cell whose `point` is nearest.

        Raises:
            PlacewiseError: if degrees are no point on earth, as swapped ones are.
        """
        points = Points(*check_degrees(latitude, longitude))
        known = np.isfinite(points.latitude)
        if known.all():
            cells = self._assign(points)
        else:
            cells = np.full(len(known), -1)
            cells[known] = self._assign(points.take(known))
        lost = known & (cells < 0)
        if nearest and lost.any():
            cells[lost] = cKDTree(unit_vectors(*self.point)).query(unit_vectors(*points.take(lost)))[1]
        return cells.astype(np.int32)

    @abstractmethod
    def _assign(self, points: Points) -> np.ndarray:
        """Returns the cell of each point, int (n,), -1 for none; the points are known and on earth."""

    @abstractmethod
    def polygon(self, cell: int) -> BaseGeometry:
        """Returns the outline of a cell in degrees (x is longitude), cut at the antimeridian (RFC 7946)."""

    def polygons(self) -> np.ndarray:
        """Returns the outlines of all cells, an object array (K,)."""
        return np.array([self.polygon(cell) for cell in range(len(self))], dtype=object)

    @abstractmethod
    def keys(self) -> dict[str, pa.Array]:
        """Returns the columns (K,) that `from_keys` needs to build the cells again, besides names and centres."""

    @classmethod
    @abstractmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        """Builds cells from their names, centres and `keys`."""

    def with_photos(self, photos: Points) -> Self:
        """Returns the cells with `point`, `images` and `reach_km` of training photos."""
        cells = self._assign(photos)
        made = copy.copy(self)
        made.images = np.bincount(cells[cells >= 0], minlength=len(self))
        latitude, longitude = spherical_means(*photos, cells, len(self))
        none = np.isnan(latitude)
        made.point = Points(
            np.where(none, self.centre.latitude, latitude), np.where(none, self.centre.longitude, longitude)
        )
        made.reach_km = np.zeros((len(self), 2))
        rows = cells[cells >= 0]
        away = to_local_km(*photos.take(cells >= 0), *made.point.take(rows))
        for axis, distances in enumerate(away):
            np.maximum.at(made.reach_km[:, axis], rows, np.abs(distances))
        return made

    def with_parents(self, parent: np.ndarray) -> Self:
        """Returns the cells with their parents, int (K,)."""
        made = copy.copy(self)
        made.parent = np.asarray(parent, np.int32)
        return made

    def parents_in(self, coarse: "Cells") -> np.ndarray:
        """Returns the coarser cell that holds each cell, judged by its centre, int (K,), -1 for none."""
        return coarse.assign(*self.centre)

    def groups_in(self, coarse: "Cells") -> tuple[np.ndarray, np.ndarray]:
        """Returns into which groups, about the cells of a coarser resolution, the cells are to be united.

        Returns:
            The group of each cell, int (K,), and the groups' names; not every group has a cell.
        """
        return coarse.assign(*self.centre, nearest=True), coarse.names
