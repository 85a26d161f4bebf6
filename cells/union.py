"""Cells that consist of finer cells."""

from typing import Self

import numpy as np
import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from cells.base import Cells, Points
from commons.sphere import spherical_means


class UnionCells(Cells):
    """Groups of finer cells, so that the two resolutions are nested exactly."""

    kind = "union"

    def __init__(self, names: np.ndarray, fine: Cells, groups: np.ndarray) -> None:
        """Args:
        names: names of the groups, (K,).
        fine: the finer cells.
        groups: groups of each finer cell, int (K_fine,), from 0 to K - 1.
        """
        super().__init__(names, Points(*spherical_means(*fine.centre, groups, len(names))))
        # The centres of cells around the whole earth may cancel out.
        lost, first = np.isnan(self.centre.latitude), np.unique(groups, return_index=True)[1]
        self.centre.latitude[lost], self.centre.longitude[lost] = (part[first][lost] for part in fine.centre)
        self.point, self.fine, self.groups = self.centre, fine, np.asarray(groups)
        self.by_hierarchy = fine.by_hierarchy

    def _assign(self, points: Points) -> np.ndarray:
        cells = self.fine._assign(points)
        return np.where(cells >= 0, self.groups[cells], -1)

    def groups_in(self, coarse: Cells) -> tuple[np.ndarray, np.ndarray]:
        if not self.by_hierarchy:
            return super().groups_in(coarse)
        groups, names = self.fine.groups_in(coarse)  # the same for all members of a union
        return groups[np.unique(self.groups, return_index=True)[1]], names

    def polygon(self, cell: int) -> BaseGeometry:
        members = np.flatnonzero(self.groups == cell)
        return shapely.union_all([self.fine.polygon(int(member)) for member in members])

    def polygons(self) -> np.ndarray:
        fine, order = self.fine.polygons(), np.argsort(self.groups, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(self.groups, minlength=len(self)))[:-1])
        found = np.empty(len(self), dtype=object)
        found[:] = [shapely.union_all(list(fine[part])) for part in parts]
        return found

    def keys(self) -> dict[str, pa.Array]:
        return {}  # the parents of the finer cells say it all

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        raise NotImplementedError("unions are built from the finer cells")


def union_by(fine: Cells, groups: np.ndarray, names: np.ndarray) -> UnionCells:
    """Groups finer cells; groups without a cell are left out.

    Args:
        fine: the finer cells.
        groups: groups of each finer cell, int (K_fine,), a row of `names`.
        names: names of the groups.
    """
    used, numbers = np.unique(groups, return_inverse=True)
    return UnionCells(np.asarray(names, dtype=object)[used], fine, numbers)
