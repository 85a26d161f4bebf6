"""Uniting administrative areas with few photos."""

import numpy as np
import shapely

from cells.base import Points
from cells.polygons import Polygons
from commons.sphere import unit_vectors

TOUCH_DEGREES = 1e-4  # neighbours' outlines in files do not always meet


def fuse(polygons: Polygons, centre: Points, images: np.ndarray, min_images: int) -> np.ndarray:
    """Groups areas so that each group has at least min_images photos, int (A,); a group's number is one of its areas.

    The group with the fewest photos goes first. It is united with the neighbour that has the most photos in the same
    region, or else with the nearest area of the same region; if there is none, in the same country, or else anywhere.

    Args:
        polygons: the areas.
        centre: centre of the areas.
        images: photos of each area, int (A,).
        min_images: minimum number of images of a group.
    """
    groups, totals = np.arange(len(polygons)), images.astype(np.int64)
    vectors = unit_vectors(*centre)
    touching = _touching(polygons.shapes)
    regions = _numbers([f"{c}/{r}" for c, r in zip(polygons.countries, polygons.regions, strict=True)])
    countries = _numbers(list(polygons.countries))
    alive = set(range(len(polygons)))
    while len(alive) > 1:
        small = min(alive, key=lambda group: (totals[group], group))
        if totals[small] >= min_images:
            break
        target = _target(small, groups, totals, vectors, touching, (regions, countries, np.zeros_like(regions)))
        keep, gone = (target, small) if totals[target] >= totals[small] else (small, target)
        groups[groups == gone] = keep
        totals[keep] += totals[gone]
        touching[keep] = (touching[keep] | touching[gone]) - {keep, gone}
        for neighbour in touching[gone] - {keep}:
            touching[neighbour] = (touching[neighbour] - {gone}) | {keep}
        alive.discard(gone)
    return groups


def _target(
    small: int,
    groups: np.ndarray,
    totals: np.ndarray,
    vectors: np.ndarray,
    touching: list[set[int]],
    kinds: tuple[np.ndarray, ...],
) -> int:
    """Returns the group that a small one is united with."""
    for kind in kinds:
        neighbours = [group for group in touching[small] if kind[group] == kind[small]]
        if neighbours:
            return max(neighbours, key=lambda group: (totals[group], -group))
        others = np.flatnonzero((kind == kind[small]) & (groups != small))
        if len(others):
            return int(groups[others[(vectors[others] @ vectors[small]).argmax()]])
    raise AssertionError("there is another group")


def _numbers(texts: list[str]) -> np.ndarray:
    return np.unique(texts, return_inverse=True)[1]


def _touching(shapes: np.ndarray) -> list[set[int]]:
    """Returns the neighbours of each area."""
    found: list[set[int]] = [set() for _ in shapes]
    for one, other in shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=TOUCH_DEGREES).T.tolist():
        if one != other:
            found[one].add(other)
    return found
