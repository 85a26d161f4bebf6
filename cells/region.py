"""Square cells of some metres that cover a region: the places that a street photo is searched among.

There may be tens of millions of them, so they are kept as runs: neighbouring cells of a row. They have no photos and
are no classes, so they are not a kind of `cells.base.Cells`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from cells.base import Points
from commons.errors import ArgumentError, PlacewiseError, first_line
from commons.files import atomic_path
from commons.sphere import check_degrees

RADIUS = 6_378_137.0  # metres, as in the published division and in Web Mercator
MAX_ROWS = 10_000_000


@dataclass(frozen=True)
class CellGrid:
    """Rows along latitude, of square cells whose middles are at whole multiples of their size.

    By default y = R latitude, and x = R longitude cos(latitude of the row's middle): all cells have the same size on
    the ground, but rows are shifted against each other. This is the "consistent" division of
    https://arxiv.org/abs/2409.16763. With `mercator`, y and x are those of EPSG:3857: cells stand in columns, and their
    side on the ground is size_m cos(latitude).
    """

    size_m: float = 30.0
    mercator: bool = False

    def row(self, latitude: np.ndarray) -> np.ndarray:
        """Returns the real-valued row of latitudes; the middle of a row is a whole number."""
        phi = np.radians(latitude)
        return (np.arcsinh(np.tan(phi)) if self.mercator else phi) * RADIUS / self.size_m

    def latitude(self, row: np.ndarray) -> np.ndarray:
        """Returns the latitude of real-valued rows."""
        y = np.asarray(row) * self.size_m / RADIUS
        return np.degrees(np.arctan(np.sinh(y)) if self.mercator else y)

    def per_degree(self, row: np.ndarray) -> np.ndarray:
        """Returns how many cells of a row a degree of longitude has."""
        circle = 1.0 if self.mercator else np.cos(np.radians(self.latitude(row)))
        return np.broadcast_to(np.radians(RADIUS) * circle / self.size_m, np.shape(row))

    def side_m(self, row: np.ndarray) -> np.ndarray:
        """Returns the side of the cells of rows in metres on a sphere of radius R."""
        scale = np.cos(np.radians(self.latitude(row))) if self.mercator else 1.0
        return np.broadcast_to(self.size_m * scale, np.shape(row))


class RegionCells:
    """K cells, numbered row by row from south to north and in a row from west to east.

    Attributes:
        grid: grid to which the cells belong.
        rows, first, last: of each run: its row, and the columns of its first and last cell, int64 (runs,), sorted.
    """

    def __init__(self, grid: CellGrid, rows: np.ndarray, first: np.ndarray, last: np.ndarray) -> None:
        """Args:
        grid: grid of the cells.
        rows, first, last: row and columns of runs in any order, int (n,); they may overlap.
        """
        order = np.lexsort((first, rows))
        rows, first, last = (np.asarray(column, np.int64)[order] for column in (rows, first, last))
        # A run goes on while the next one begins at most one column after all before it in the row.
        reach = np.maximum.accumulate(_keys(rows, last))
        new = np.r_[True, _keys(rows, first)[1:] > reach[:-1] + 1][: len(rows)]
        starts = np.flatnonzero(new)
        self.grid, self.rows, self.first = grid, rows[starts], first[starts]
        self.last = (np.maximum.reduceat(_keys(rows, last), starts) if len(starts) else starts) - _keys(self.rows, 0)
        self.offsets = np.r_[0, np.cumsum(self.last - self.first + 1)]

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def places(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows and columns of cells, int64 (n,)."""
        run = np.searchsorted(self.offsets, cells, side="right") - 1
        return self.rows[run], self.first[run] + (cells - self.offsets[run])

    def centres(self, cells: np.ndarray | slice = slice(None)) -> Points:
        """Returns the middles of cells.

        Args:
            cells: numbers, (n,), or a slice; all by default, 16 bytes each.
        """
        numbers = np.arange(len(self))[cells] if isinstance(cells, slice) else np.asarray(cells)
        row, column = self.places(numbers)
        return Points(self.grid.latitude(row), column / self.grid.per_degree(row))

    def assign(self, latitude: np.ndarray, longitude: np.ndarray, nearest_within: float = 0.0) -> np.ndarray:
        """Returns the cell that holds each point, int64 (n,), -1 for none and for NaN.

        A point's row and column are computed, and its run is found by bisection; the number of cells does not matter.

        Args:
            latitude, longitude: degrees, (n,).
            nearest_within: points in no cell get the cell whose middle is nearest, if it is within so many metres.
        """
        latitude, longitude = check_degrees(latitude, longitude)
        known = np.isfinite(latitude)
        row, column = self._place(np.where(known, latitude, 0), np.where(known, longitude, 0))
        found = self._number(row, column)
        found[~known] = -1
        lost = np.flatnonzero(known & (found < 0))
        if nearest_within > 0 and len(lost) and len(self):
            found[lost] = self._nearest(latitude[lost], longitude[lost], nearest_within)
        return found

    def _place(self, latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row = np.floor(self.grid.row(latitude) + 0.5).astype(np.int64)
        return row, np.floor(longitude * self.grid.per_degree(row) + 0.5).astype(np.int64)

    @cached_property
    def _starts(self) -> np.ndarray:
        return _keys(self.rows, self.first)

    def _number(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        if not len(self):
            return np.full(len(row), -1)
        run = np.maximum(np.searchsorted(self._starts, _keys(row, column), side="right") - 1, 0)
        inside = (self.rows[run] == row) & (self.first[run] <= column) & (column <= self.last[run])
        return np.where(inside, self.offsets[run] + column - self.first[run], -1)

    def _nearest(self, latitude: np.ndarray, longitude: np.ndarray, within: float) -> np.ndarray:
        """Returns the cell whose middle is nearest: in each row around, the ends of two runs are candidates."""
        home, _ = self._place(latitude, longitude)
        found, best = np.full(len(home), -1), np.full(len(home), float(within))
        side = float(self.grid.side_m(home).min())
        for away in range(int(within / side) + 2):
            for row in {away, -away}:
                row = home + row
                column = np.floor(longitude * self.grid.per_degree(row) + 0.5).astype(np.int64)
                after = np.searchsorted(self._starts, _keys(row, column), side="right")
                for run in (np.maximum(after - 1, 0), np.minimum(after, len(self.rows) - 1)):
                    nearest = np.clip(column, self.first[run], self.last[run])
                    metres = self._metres(row, nearest, latitude, longitude)
                    closer = (self.rows[run] == row) & (metres <= best)
                    best[closer] = metres[closer]
                    found[closer] = (self.offsets[run] + nearest - self.first[run])[closer]
        return found

    def _metres(self, row: np.ndarray, column: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        """Returns the distances of points to the middles of near cells."""
        north = np.radians(self.grid.latitude(row) - lat)
        east = np.radians(column / self.grid.per_degree(row) - lon) * np.cos(np.radians(lat))
        return RADIUS * np.hypot(north, east)

    def polygon(self, cell: int) -> BaseGeometry:
        """Returns the outline of a cell in degrees (x is longitude)."""
        row, column = self.places(np.array(cell))
        south, north = self.grid.latitude(row + np.array([-0.5, 0.5]))
        west, east = (column + np.array([-0.5, 0.5])) / self.grid.per_degree(row)
        return box(west, south, east, north)

    def save(self, path: str | Path) -> None:
        """Writes the cells as the published project does (cellregion.npz): `latlons`, `row_lens` and the grid."""
        lengths = np.bincount(self.rows - self.rows[:1], self.last - self.first + 1).astype(np.int64)
        with atomic_path(path) as temporary:
            np.savez(
                temporary,
                latlons=np.stack(self.centres(), axis=1),
                row_lens=lengths[lengths > 0],
                cell_size_meters=self.grid.size_m,
                mercator=self.grid.mercator,
            )


def _keys(rows: np.ndarray, columns: np.ndarray | int) -> np.ndarray:
    """Returns numbers that sort as (row, column); columns are between -2^31 and 2^31."""
    return rows * 2**32 + columns


def load_region_cells(path: str | Path) -> RegionCells:
    """Reads what `RegionCells.save` has written.

    Raises:
        PlacewiseError: if it is no such file, or its cells are not those of a `CellGrid`.
    """
    try:
        with np.load(path) as file:
            latitude, longitude = file["latlons"].T
            grid = CellGrid(float(file["cell_size_meters"]), bool(file["mercator"]) if "mercator" in file else False)
    except (OSError, ValueError, KeyError) as error:
        raise PlacewiseError(f"{path}: is not a file of cells ({first_line(error)})") from error
    rows = np.rint(grid.row(latitude))
    columns = longitude * grid.per_degree(rows)
    found = RegionCells(grid, rows, np.rint(columns), np.rint(columns))
    apart = max(np.abs(grid.row(latitude) - rows).max(initial=0), np.abs(columns - np.rint(columns)).max(initial=0))
    if apart > 0.01 or len(found) != len(latitude):
        raise PlacewiseError(f"{path}: its cells are not at multiples of {grid.size_m:g} m; divide the region again")
    return found


def cut_region(polygon: BaseGeometry, size_m: float = 30.0, mercator: bool = False) -> RegionCells:
    """Returns all cells of a grid that touch a region.

    The region is cut into strips, the rows, by halving it again and again. A cell touches the region if its columns
    overlap the extent of one of the pieces in its row, which is exact: a piece is connected, and a cell is as high as
    its row. The published rule keeps cells that have a corner in the region and loses parts of narrow regions.

    Args:
        polygon: the region in degrees (x is longitude), cut at the antimeridian.
        size_m: side of a cell in metres; with `mercator` at the equator.
        mercator: see `CellGrid`.

    Raises:
        ArgumentError: if the size is not above 0, or the region is empty or too large for it.
    """
    if size_m <= 0:
        raise ArgumentError("cell_size", f"{size_m:g} must be above 0")
    if polygon.is_empty:
        raise ArgumentError("geojson", "the region is empty")
    grid = CellGrid(size_m, mercator)
    polygon = polygon if polygon.is_valid else shapely.make_valid(polygon)
    _, south, _, north = polygon.bounds
    rows = np.floor(grid.row(np.array([south, north])) + 0.5)
    if not np.ptp(rows) < MAX_ROWS:
        raise ArgumentError("cell_size", f"{size_m:g} m gives more than {MAX_ROWS} rows; raise it")
    strips, numbers = _strips(polygon, grid, int(rows[0]), int(rows[1]))
    pieces, owner = shapely.get_parts(strips, return_index=True)
    own = numbers[owner]
    bounds = shapely.bounds(pieces)
    across = grid.per_degree(own)
    first, last = (np.floor(bounds[:, side] * across + 0.5).astype(np.int64) for side in (0, 2))
    return RegionCells(grid, own, first, last)


def _strips(polygon: BaseGeometry, grid: CellGrid, south: int, north: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the parts of a region in the rows from south to north that it reaches, and their rows."""
    shapes, low, high = np.array([polygon], object), np.array([south]), np.array([north])
    west, east = polygon.bounds[0] - 1, polygon.bounds[2] + 1
    done = []
    while len(shapes):
        single = low == high
        done.append((shapes[single], low[single]))
        shapes, low, high = shapes[~single], low[~single], high[~single]
        middle = (low + high) // 2
        border = grid.latitude(middle + 0.5)
        lower = shapely.intersection(shapes, shapely.box(west, -90, east, border))
        upper = shapely.intersection(shapes, shapely.box(west, border, east, 90))
        shapes = np.concatenate([lower, upper])
        low, high = np.concatenate([low, middle + 1]), np.concatenate([middle, high])
        kept = ~shapely.is_empty(shapes)
        shapes, low, high = shapes[kept], low[kept], high[kept]
    return tuple(np.concatenate(column) for column in zip(*done, strict=True))
