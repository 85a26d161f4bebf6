"""Cells around the means of clusters of photos."""

from typing import Self

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from cells.base import Cells, Points
from cells.voronoi import Voronoi
from commons.errors import ArgumentError
from commons.sphere import haversine_km, sums_by_group, to_degrees, unit_vectors

SAMPLE_PER_CELL = 50  # photos that the first clustering takes: more hardly change the centres, and cost time
STEPS = 10  # of the refinement by all photos
MOVED_KM = 0.01  # the refinement ends when no centre moves farther
MANY, INITS = 20_000, 4  # up to so many photos, the best of four clusterings is taken
SEED = 0


class KMeansCells(Cells):
    """Each point on earth belongs to the nearest centre."""

    kind = "kmeans"

    def __init__(self, centre: Points, radius_km: np.ndarray) -> None:
        """Args:
        centre: degrees, (K,).
        radius_km: radius in km of the circle around a centre that its polygon does not leave, (K,).
        """
        names = np.array([f"k{number}" for number in range(len(radius_km))], dtype=object)
        super().__init__(names, centre)
        self.radius_km = radius_km
        self._tree = cKDTree(unit_vectors(*centre))

    def _assign(self, points: Points) -> np.ndarray:
        return self._tree.query(unit_vectors(*points))[1]

    def polygon(self, cell: int) -> BaseGeometry:
        """Returns the part of the cell as near to its centre as its photos are; all of it may be half of the earth."""
        return Voronoi(self.centre).polygon(cell, float(self.radius_km[cell]))

    def polygons(self) -> np.ndarray:
        voronoi = Voronoi(self.centre)
        found = [voronoi.polygon(cell, float(radius)) for cell, radius in enumerate(self.radius_km)]
        return np.array(found, dtype=object)

    def keys(self) -> dict[str, pa.Array]:
        return {"radius_km": pa.array(self.radius_km)}

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        return cls(centre, keys["radius_km"].to_numpy())


def kmeans(photos: Points, *, cells: int = 1000) -> KMeansCells:
    """Clusters of photos by k-means on the sphere; each point belongs to the nearest centre.

    k-means++ (https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf) and Lloyd's algorithm on 50 photos a cell,
    then Lloyd's algorithm on all of them. Centres are means of unit vectors, moved onto the sphere (spherical k-means,
    https://doi.org/10.1023/A:1007612920971).

    Args:
        photos: training photos.
        cells: number of cells; at least as many photos must have different positions.
    """
    vectors = unit_vectors(*photos)
    centres = to_degrees(cluster(vectors, cells))
    rows = cKDTree(unit_vectors(*centres)).query(vectors)[1]
    radius = np.zeros(cells)
    np.maximum.at(radius, rows, haversine_km(*photos, centres[0][rows], centres[1][rows]))
    return KMeansCells(Points(*centres), radius)


def cluster(vectors: np.ndarray, count: int) -> np.ndarray:
    """Returns the centres of clusters as unit vectors, (count, 3).

    Args:
        vectors: unit vectors (n, 3).
        count: number of clusters.

    Raises:
        ArgumentError: if fewer vectors differ.
    """
    sample = vectors
    if len(vectors) > SAMPLE_PER_CELL * count:
        sample = vectors[np.random.default_rng(SEED).choice(len(vectors), SAMPLE_PER_CELL * count, replace=False)]
    different = len(np.unique(sample, axis=0))
    if different < count and sample is not vectors:
        sample = np.unique(vectors, axis=0)
        different = len(sample)
    if different < count:
        raise ArgumentError(
            "cell_options", f"cells={count}: the photos have only {different} different positions; lower it"
        )
    from sklearn.cluster import KMeans  # takes a second

    inits = INITS if len(sample) <= MANY else 1
    centres = _on_sphere(KMeans(count, n_init=inits, random_state=SEED).fit(sample).cluster_centers_)
    if sample is not vectors:
        for _ in range(STEPS):
            rows = cKDTree(centres).query(vectors)[1]
            sums = sums_by_group(vectors, rows, count)
            empty = ~sums.any(axis=1)
            moved = _on_sphere(np.where(empty[:, None], centres, sums))
            farthest = haversine_km(*to_degrees(moved), *to_degrees(centres)).max()
            centres = moved
            if farthest < MOVED_KM:
                break
    return centres


def _on_sphere(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-12, vectors / np.maximum(length, 1e-12), [1.0, 0, 0])  # photos all around cancel out
