"""Administrative areas as cells: municipalities, counties, regions, countries."""

from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import shapely
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from cells import admin_fuse, admin_split
from cells.base import Cells, Points
from cells.polygons import Polygons, centres_of
from commons.errors import ArgumentError
from commons.sphere import chord_to_km, unit_vectors

OUTLINE_POINTS = 20_000  # besides the corners, by which the nearest polygon is found


class AdminCells(Cells):
    """Polygons; a point outside of all of them belongs to the nearest one."""

    kind = "admin"

    def __init__(
        self, names: np.ndarray, shapes: np.ndarray, areas: np.ndarray, regions: np.ndarray, countries: np.ndarray
    ) -> None:
        """Args:
        names: names of the cells, (K,).
        shapes: valid polygons in degrees, cut at the antimeridian, object (K,).
        areas, regions, countries: that cells are parts of, str (K,), "" where unknown.
        """
        super().__init__(names, centres_of(shapes))
        self.shapes, self.areas, self.regions, self.countries = shapes, areas, regions, countries
        shapely.prepare(shapes)
        self._bounds = shapely.bounds(shapes)

    def _assign(self, points: Points) -> np.ndarray:
        cells = self._inside(points)
        lost = cells < 0
        if lost.any():
            cells[lost] = self._nearest(points.take(lost))[0]
        return cells

    def outside_km(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Returns how far points on earth lie outside of all polygons in kilometres, (n,), 0 inside."""
        points, found = Points(latitude, longitude), np.zeros(len(latitude))
        lost = self._inside(points) < 0
        if lost.any():
            found[lost] = chord_to_km(self._nearest(points.take(lost))[1])
        return found

    def _inside(self, points: Points) -> np.ndarray:
        """Returns the polygon that holds each point, int (n,), -1 for none."""
        order = np.argsort(points.latitude)
        latitude, longitude = points.take(order)
        cells = np.full(len(order), -1)
        starts = np.searchsorted(latitude, self._bounds[:, 1])
        ends = np.searchsorted(latitude, self._bounds[:, 3], side="right")
        for row, (west, _, east, _) in enumerate(self._bounds):
            part = slice(starts[row], ends[row])
            near = (longitude[part] >= west) & (longitude[part] <= east) & (cells[part] < 0)
            rows = np.flatnonzero(near) + starts[row]
            cells[rows[shapely.contains_xy(self.shapes[row], longitude[rows], latitude[rows])]] = row
        found = np.empty_like(cells)
        found[order] = cells
        return found

    @cached_property
    def _outline(self) -> tuple[cKDTree, np.ndarray]:
        """Points along all outlines, and the cells that they belong to."""
        step = max(float(shapely.length(self.shapes).sum()) / OUTLINE_POINTS, 1e-4)
        points, owner = shapely.get_coordinates(shapely.segmentize(self.shapes, step), return_index=True)
        # Cut in the middle of space, not of points, it finds points along lines twice as fast.
        tree = cKDTree(unit_vectors(points[:, 1], points[:, 0]), balanced_tree=False, compact_nodes=False)
        return tree, owner

    def _nearest(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest polygon of each point and the straight distance to it on the unit sphere."""
        tree, owner = self._outline
        chord, rows = tree.query(unit_vectors(*points))
        return owner[rows], chord

    def polygon(self, cell: int) -> BaseGeometry:
        return self.shapes[cell]

    def keys(self) -> dict[str, pa.Array]:
        columns = {"area": self.areas, "region": self.regions, "country": self.countries}
        return {name: pa.array(values, pa.string()) for name, values in columns.items()}

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        texts = [keys[name].to_numpy(zero_copy_only=False) for name in ("area", "region", "country")]
        return cls(names, shapely.from_wkb(keys["geometry"].to_numpy(zero_copy_only=False)), *texts)


def admin(photos: Points, polygons: Polygons, *, cells: int = 0, min_images: int = 1) -> AdminCells:
    """Administrative areas from a file of polygons; the largest are split by k-means.

    Areas with fewer than min_images photos are united with a neighbour of the same region. Then the cell with the most
    square kilometres is split into what lies nearest to each of two means of its photos (k-means++,
    https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf), again and again, until there are as many cells as
    wanted. Points outside of all polygons belong to the nearest.

    cells=129 splits 27 of Denmark's 98 municipalities.

    Args:
        photos: training photos.
        polygons: the areas.
        cells: number of cells after splitting; 0 splits none.
        min_images: an area with fewer photos is united with another.
    """
    made = _fused(photos, polygons, min_images)
    if not cells:
        return made
    if cells < len(made):
        raise ArgumentError(
            "cell_options",
            f"cells={cells} is less than the number of areas ({len(made)}); leave it out, or raise min_images",
        )
    return _divided(made, admin_split.split_largest(_pieces(made, photos), cells))


def admin_optics(
    photos: Points,
    polygons: Polygons,
    *,
    max_images: int = 2000,
    min_images: int = 1000,
    min_samples: int = 300,
    xi: float = 0.05,
) -> AdminCells:
    """Administrative areas from a file of polygons; those with many photos are split where photos cluster.

    The semantic geocells of PIGEON (https://arxiv.org/abs/2307.05845) in short. Areas with fewer than min_images
    photos are united with a neighbour of the same region. In an area with more than max_images photos, OPTICS
    (https://doi.org/10.1145/304181.304187) finds clusters; if two or more have min_images photos, the area is split
    into what lies nearest to their means, and so are the pieces. PIGEON takes three pairs of min_samples and xi in turn
    and cuts along the photos of clusters instead of halfway between their means.

    PIGEON: max_images=60, min_images=30, min_samples=8, xi=0.05.

    Args:
        photos: training photos.
        polygons: the areas.
        max_images: an area with more photos is split, if its photos cluster.
        min_images: an area with fewer photos is united with another; a cluster with fewer is none.
        min_samples: photos around a photo that make a place dense.
        xi: how much less dense the edge of a cluster is, between 0 and 1.
    """
    if not 0 < xi < 1:
        raise ArgumentError("cell_options", f"xi={xi:g} must be between 0 and 1")
    if min_samples < 2:
        raise ArgumentError("cell_options", f"min_samples={min_samples} must be 2 or more")
    made = _fused(photos, polygons, min_images)
    found = []
    for piece in _pieces(made, photos):
        centres = admin_split.optics_centres(piece.photos, max_images, min_images, min_samples, xi)
        found += [piece._replace(shape=shape) for shape in admin_split.cut(piece.shape, centres)]
    return _divided(made, found)


def _fused(photos: Points, polygons: Polygons, min_images: int) -> AdminCells:
    whole = AdminCells(polygons.names, polygons.shapes, polygons.names, polygons.regions, polygons.countries)
    images = np.bincount(whole.assign(*photos), minlength=len(whole))
    groups = admin_fuse.fuse(polygons, whole.centre, images, min_images)
    if len(set(groups)) == len(polygons):
        return whole
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    shapes = np.empty(len(rows), dtype=object)
    shapes[:] = [shapely.union_all(list(polygons.shapes[own])) for own in rows]
    # The area with the most photos lends its name.
    first = np.array([own[images[own].argmax()] for own in rows])
    names = polygons.names[first]
    return AdminCells(names, shapes, names, polygons.regions[first], polygons.countries[first])


def _pieces(made: AdminCells, photos: Points) -> list[admin_split.Piece]:
    """Returns each cell with its photos."""
    rows = made.assign(*photos)
    order, bounds = np.argsort(rows, kind="stable"), np.cumsum(np.bincount(rows, minlength=len(made)))[:-1]
    parts = np.split(order, bounds)
    return [admin_split.Piece(row, made.shapes[row], photos.take(own)) for row, own in enumerate(parts)]


def _divided(made: AdminCells, pieces: list[admin_split.Piece]) -> AdminCells:
    """Returns the pieces of cells as cells, numbered within each; they are sorted by the cell that they are part of."""
    owner = np.array([piece.owner for piece in pieces])
    parts = np.bincount(owner, minlength=len(made))
    number = np.arange(len(owner)) - np.searchsorted(owner, owner) + 1
    names = [f"{made.names[o]} {n}" if parts[o] > 1 else made.names[o] for o, n in zip(owner, number, strict=True)]
    shapes = np.empty(len(pieces), dtype=object)
    shapes[:] = [piece.shape for piece in pieces]
    areas, regions, countries = made.areas[owner], made.regions[owner], made.countries[owner]
    return AdminCells(np.array(names, dtype=object), shapes, areas, regions, countries)
