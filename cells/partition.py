"""Cells at several nested resolutions."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cells.base import Cells, Points
from commons.errors import PlacewiseError
from commons.sphere import check_degrees


@dataclass(frozen=True)
class Partition:
    """Cells at one or more resolutions, each finer cell within one coarser cell.

    Attributes:
        levels: cells, coarse to fine. `parent` of a cell is its row in the level before.
    """

    levels: tuple[Cells, ...]

    @property
    def finest(self) -> Cells:
        """The cells of the last level."""
        return self.levels[-1]

    @cached_property
    def ancestors(self) -> np.ndarray:
        """The cell of each level that holds each of the finest cells, int32 (K, levels); the last column counts up."""
        rows = [np.arange(len(self.finest), dtype=np.int32)]
        for level in reversed(self.levels[1:]):
            rows.append(level.parent[rows[-1]])
        return np.stack(rows[::-1], axis=1)

    def assign(self, latitude: np.ndarray, longitude: np.ndarray, nearest: bool = False) -> np.ndarray:
        """Returns the cell of each point at each level, int32 (n, levels), -1 for none.

        Args:
            latitude, longitude: degrees, (n,), NaN where unknown.
            nearest: whether points in no cell get the cell whose `point` is nearest.

        Raises:
            PlacewiseError: if degrees are no point on earth, as swapped ones are.
        """
        latitude, longitude = check_degrees(latitude, longitude)
        finest = self.finest.assign(latitude, longitude, nearest)
        found = np.where(finest[:, None] >= 0, self.ancestors[finest], -1)
        lost = np.flatnonzero((finest < 0) & np.isfinite(latitude))
        if len(lost) and len(self.levels) > 1:  # a coarser cell may hold it all the same
            for column, level in enumerate(self.levels[:-1]):
                found[lost, column] = level.assign(latitude[lost], longitude[lost])
        return found

    def with_photos(self, photos: Points) -> "Partition":
        """Returns the same cells with `point`, `images` and `reach_km` of training photos."""
        return Partition(tuple(level.with_photos(photos) for level in self.levels))


def nested(levels: list[Cells]) -> Partition:
    """Finds the parents of cells, coarse to fine.

    Raises:
        PlacewiseError: if a cell lies in no coarser one.
    """
    made = [levels[0]]
    for fine in levels[1:]:
        parent = fine.parents_in(made[-1])
        lost = np.flatnonzero(parent < 0)
        if len(lost):
            raise PlacewiseError(
                f"cell {fine.names[lost[0]]} is in no cell of the coarser resolution ({len(lost)} such cells of "
                f"{len(fine)}): resolutions must differ in the size of cells alone"
            )
        made.append(fine.with_parents(parent))
    return Partition(tuple(made))
