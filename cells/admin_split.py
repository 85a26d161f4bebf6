"""Splitting administrative areas into pieces around clusters of photos."""

import heapq
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from cells.base import Points
from cells.kmeans import cluster
from cells.polygons import areas_km2
from cells.rings import polygonal
from cells.voronoi import Voronoi
from commons.errors import ArgumentError
from commons.sphere import haversine_km, spherical_means, to_degrees, to_local_km, unit_vectors

OPTICS_SAMPLE = 1_500  # photos of an area at most, as OPTICS may take the square of their number
SEGMENT_KM = 2.0  # of a line between two pieces: it bends by less than a metre


class Piece(NamedTuple):
    """A part of an area.

    Attributes:
        owner: the area.
        shape: polygon in degrees.
        photos: photos that lie in it.
    """

    owner: int
    shape: BaseGeometry
    photos: Points


def split_largest(pieces: list[Piece], cells: int) -> list[Piece]:
    """Splits the piece with the most square kilometres in two by k-means, again and again, until there are `cells`.

    Args:
        pieces: whole areas.
        cells: pieces in the end, at least as many as now.

    Returns:
        The pieces, those of an area one after the other.

    Raises:
        ArgumentError: if too few photos have different positions.
    """
    done, queue = [], [(-area, row, pieces[row]) for row, area in enumerate(areas_km2(_column(pieces)))]
    heapq.heapify(queue)
    number = len(queue)
    while queue and len(done) + len(queue) < cells:
        _, _, piece = heapq.heappop(queue)
        parts = _halves(piece)
        if len(parts) < 2:
            done.append(piece)
            continue
        for area, part in zip(areas_km2(_column(parts)), parts, strict=True):
            heapq.heappush(queue, (-area, number, part))
            number += 1
    found = done + [piece for _, _, piece in queue]
    if len(found) < cells:
        raise ArgumentError(
            "cell_options", f"cells={cells}: the positions of the photos give only {len(found)} cells; lower it"
        )
    return sorted(found, key=lambda piece: piece.owner)


def _column(pieces: list[Piece]) -> np.ndarray:
    column = np.empty(len(pieces), dtype=object)
    column[:] = [piece.shape for piece in pieces]
    return column


def _halves(piece: Piece) -> list[Piece]:
    """Returns two pieces, or one if all photos have one position."""
    if piece.photos.different() < 2:
        return [piece]
    centres = Points(*to_degrees(cluster(unit_vectors(*piece.photos), 2)))
    rows = (unit_vectors(*piece.photos) @ unit_vectors(*centres).T).argmax(axis=1)
    shapes = cut(piece.shape, centres)
    if len(shapes) < 2:  # photos outside of the polygon, all of which is nearest to one centre
        return [piece]
    return [Piece(piece.owner, shape, piece.photos.take(rows == half)) for half, shape in enumerate(shapes)]


def optics_centres(photos: Points, max_images: int, min_images: int, min_samples: int, xi: float) -> Points:
    """Returns the means of clusters by OPTICS, found again in clusters with more than max_images photos; none for one.

    Args:
        photos: photos of an area.
        max_images, min_images, min_samples, xi: as for `admin_optics`.
    """
    found, todo = [], [photos]
    while todo:
        part = todo.pop()
        halves = _clusters(part, min_images, min_samples, xi) if len(part.latitude) > max_images else []
        if halves:
            todo += halves
        else:
            found.append(part)
    if len(found) < 2:
        return Points(np.zeros(0), np.zeros(0))
    means = [spherical_means(*part, np.zeros(len(part.latitude), int), 1) for part in found]
    return Points(*np.array(means)[..., 0].T)


def _clusters(photos: Points, min_images: int, min_samples: int, xi: float) -> list[Points]:
    """Returns the photos nearest to the mean of each cluster with min_images photos, [] if there is one at most."""
    from sklearn.cluster import OPTICS

    total = len(photos.latitude)
    rows = np.arange(total)
    if total > OPTICS_SAMPLE:
        rows = np.random.default_rng(0).choice(total, OPTICS_SAMPLE, replace=False)
    share = len(rows) / total
    if len(rows) < max(2, min_samples * share):
        return []
    sample = photos.take(rows)
    middle = spherical_means(*sample, np.zeros(len(rows), int), 1)
    plane = np.stack(to_local_km(*sample, *middle), axis=1)
    labels = OPTICS(min_samples=max(2, round(min_samples * share)), xi=xi).fit(plane).labels_
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    large = np.flatnonzero(sizes >= min_images * share)
    if len(large) < 2:
        return []
    centres = np.stack([unit_vectors(*sample.take(labels == label)).mean(axis=0) for label in large])
    vectors = unit_vectors(*photos)
    while True:  # photos of small clusters and of none go to the nearest, which may leave one with few
        nearest = (vectors @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T).argmax(axis=1)
        images = np.bincount(nearest, minlength=len(centres))
        if images.min() >= min_images or len(centres) == 1:
            break
        centres = np.delete(centres, images.argmin(), axis=0)
    return [photos.take(nearest == piece) for piece in range(len(centres))] if len(centres) > 1 else []


def cut(shape: BaseGeometry, centres: Points) -> list[BaseGeometry]:
    """Cuts a polygon in degrees into what lies nearest to each centre; pieces fit together without gaps."""
    if len(centres.latitude) < 2:
        return [shape]
    voronoi, parts, rest = Voronoi(centres), [], shape
    corners = shapely.get_coordinates(shape)
    for cell in range(len(centres.latitude) - 1):
        own = centres.take(np.array([cell]))
        radius = float(haversine_km(*own, corners[:, 1], corners[:, 0]).max())
        region = voronoi.polygon(cell, radius, SEGMENT_KM)
        parts.append(polygonal(shapely.intersection(rest, region)))
        rest = polygonal(shapely.difference(rest, region))
    return [part for part in [*parts, rest] if not part.is_empty]
