"""Classes that lie near each other on either side of a border between UTM zones, each of which has its own grid."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from datasets.distances import globe_coordinates
from datasets.places import Places


def neighbours_across_zones(
    places: Places, class_of: np.ndarray, kind_of: np.ndarray, least: float
) -> Iterator[tuple[int, int]]:
    """Yields pairs of classes of one kind and different UTM zones of which two images are nearer than `least` metres.

    Args:
        places: n images.
        class_of: class of each image, (n,), -1 for none.
        kind_of: images of different kinds may be near each other, (n,).
        least: metres.

    Yields:
        The class of the zone that comes first in the order of zone numbers, and the other; in that order.
    """
    points = globe_coordinates(places)
    there = (class_of >= 0) & np.isfinite(points).all(axis=1)
    zones = np.unique(places.utm_zone[there]).tolist()
    rows_of = {zone: np.flatnonzero(there & (places.utm_zone == zone)) for zone in zones}
    for first, second in combinations(zones, 2):
        one, other = _border(points, rows_of[first], rows_of[second], least)
        for kind in np.intersect1d(kind_of[one], kind_of[other]):
            mine, theirs = one[kind_of[one] == kind], other[kind_of[other] == kind]
            found = cKDTree(points[mine]).query_ball_tree(cKDTree(points[theirs]), np.nextafter(least, 0))
            pairs = {(int(class_of[mine[i]]), int(class_of[theirs[j]])) for i, near in enumerate(found) for j in near}
            yield from sorted(pairs)


def _border(points: np.ndarray, one: np.ndarray, other: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns those of two lists of rows that have a point of the other list within `least` metres."""
    empty = np.empty(0, np.int64)
    a, b = points[one], points[other]
    if np.maximum(b.min(axis=0) - a.max(axis=0), a.min(axis=0) - b.max(axis=0)).max() >= least:
        return empty, empty
    near = [np.isfinite(cKDTree(y).query(x, distance_upper_bound=least)[0]) for x, y in ((a, b), (b, a))]
    return one[near[0]], other[near[1]]
