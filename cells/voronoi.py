"""Outlines of the points nearest to each of many centres on the sphere."""

import numpy as np
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from cells.base import Points
from cells.rings import great_circles, polygon_of_ring
from commons.sphere import EARTH_RADIUS_KM, km_to_chord, to_degrees, unit_vectors

CIRCLE = 64  # corners of a circle
LEAST_KM, MOST_KM = 0.01, 0.45 * np.pi * EARTH_RADIUS_KM  # of a radius; 81 degrees, as a plane shows half of the earth
SEGMENT_KM = 50.0  # great circles bend in degrees: long sides get more corners


class Voronoi:
    """Voronoi cells on the sphere, each within a circle around its centre.

    In the gnomonic projection, which shows great circles as straight lines, a cell is what half-planes have in common:
    the points nearer to its centre than to each of the others.
    """

    def __init__(self, centre: Points) -> None:
        """Args:
        centre: degrees, (K,).
        """
        self.vectors = unit_vectors(*centre)
        self.tree = cKDTree(self.vectors)

    def polygon(self, cell: int, radius_km: float, segment_km: float = SEGMENT_KM) -> BaseGeometry:
        """Returns the outline of a cell within a circle in degrees, cut at the antimeridian.

        Args:
            cell: its row.
            radius_km: radius in km of the circle around its centre.
            segment_km: length of the straight lines in degrees that follow a great circle, about.
        """
        radius_km = float(np.clip(1.01 * radius_km, LEAST_KM, MOST_KM))
        middle = self.vectors[cell]
        east, north = _axes(middle)
        plane = np.stack([east, north, middle])  # rows: coordinates of the projection
        near = self.tree.query_ball_point(middle, min(km_to_chord(2 * radius_km) * (1 + 1e-9), 2.0))
        near = [row for row in near if row != cell]
        near.sort(key=lambda row: -float(self.vectors[row] @ middle))
        # The circle's corners lie outside of it, so that its sides touch it.
        angles = np.linspace(0, 2 * np.pi, CIRCLE, endpoint=False)
        edge = np.tan(radius_km / EARTH_RADIUS_KM) / np.cos(np.pi / CIRCLE)
        ring = edge * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        for row in near:
            # (middle - other) . p >= 0 in coordinates of the plane, where p is (x, y, 1).
            a, b, c = plane @ (middle - self.vectors[row])
            ring = _clip(ring, a, b, c)
        corners = np.column_stack([ring, np.ones(len(ring))]) @ plane
        corners /= np.linalg.norm(corners, axis=1, keepdims=True)
        segments = int(np.clip(np.ceil(2 * radius_km / segment_km), 1, 256))
        return polygon_of_ring(*to_degrees(great_circles(corners, segments)))


def _axes(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the directions to the east and to the north at a point; any two at a pole."""
    east = np.array([-vector[1], vector[0], 0.0])
    length = np.linalg.norm(east)
    east = east / length if length > 1e-12 else np.array([0.0, 1.0, 0.0])
    return east, np.cross(vector, east)


def _clip(ring: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """Returns the part of a convex polygon where a x + b y + c >= 0, corners (n, 2)."""
    value = ring @ (a, b) + c
    if (value >= 0).all():
        return ring
    following, next_value = np.roll(ring, -1, axis=0), np.roll(value, -1)
    crosses = (value >= 0) != (next_value >= 0)
    share = np.where(crosses, value / np.where(crosses, value - next_value, 1), 0)
    crossing = ring + share[:, None] * (following - ring)
    corners = np.stack([ring, crossing], axis=1).reshape(-1, 2)
    return corners[np.stack([value >= 0, crosses], axis=1).ravel()]
