"""Cells of a quadtree over latitude and longitude, as OSV-5M's."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from cells.base import Cells, Points
from cells.rings import polygon_of_box
from commons.errors import ArgumentError

SIDES = ("south", "west", "north", "east")
MAX_DEPTH = 24


class Box(NamedTuple):
    """Degrees; south and west belong to the box, north and east do not, unless the tree ends there."""

    south: float
    west: float
    north: float
    east: float


class QuadtreeCells(Cells):
    """Boxes that a quadtree has cut; points may lie in none.

    A name holds a digit for each depth: 0 south-west, 1 south-east, 2 north-west, 3 north-east.
    """

    kind = "quadtree"

    def __init__(self, names: np.ndarray, boxes: np.ndarray, west: float, north: float, east: float) -> None:
        """Args:
        names: names of the cells, in ascending order.
        boxes: south, west, north, east in degrees, float64 (K, 4), longitudes in [west, west + 360].
        west: longitude where the tree begins.
        north, east: where it ends; this edge belongs to it.
        """
        middle = Points((boxes[:, 0] + boxes[:, 2]) / 2, _normal((boxes[:, 1] + boxes[:, 3]) / 2))
        super().__init__(names, middle)
        self.boxes, self.west, self.end = boxes, west, (north, east)
        self._tree = _binary_tree(self.names, boxes)

    def _assign(self, points: Points) -> np.ndarray:
        values = np.stack([points.latitude, unrolled(points.longitude, self.west)])
        axis, threshold, children = self._tree
        nodes, columns = np.zeros(len(points.latitude), np.int64), np.arange(len(points.latitude))
        while (inner := axis[nodes] >= 0).any():
            upper = values[np.where(inner, axis[nodes], 0), columns] >= threshold[nodes]
            nodes = np.where(inner, children[nodes, upper.astype(int)], nodes)
        cells = children[nodes, 0]  # of a leaf, its cell
        south, west, north, east = self.boxes[cells].T
        inside = (values[0] >= south) & (values[1] >= west)
        for value, edge, end in zip(values, (north, east), self.end, strict=True):
            inside &= (value < edge) | (value == edge) & (edge == end)
        return np.where(inside, cells, -1)

    def polygon(self, cell: int) -> BaseGeometry:
        south, west, north, east = self.boxes[cell]
        return polygon_of_box(south, west, north, east)

    def keys(self) -> dict[str, pa.Array]:
        columns = {side: pa.array(self.boxes[:, index]) for index, side in enumerate(SIDES)}
        tree = {"tree_west": self.west, "tree_north": self.end[0], "tree_east": self.end[1]}
        return columns | {name: pa.array(np.full(len(self), value)) for name, value in tree.items()}

    @classmethod
    def from_keys(cls, names: np.ndarray, centre: Points, keys: dict[str, pa.Array]) -> Self:
        boxes = np.stack([keys[side].to_numpy() for side in SIDES], axis=1)
        return cls(names, boxes, *(keys[f"tree_{side}"][0].as_py() for side in ("west", "north", "east")))


def _normal(longitude: np.ndarray) -> np.ndarray:
    return (longitude + 180) % 360 - 180


def unrolled(longitude: np.ndarray, west: float) -> np.ndarray:
    """Returns longitudes in [west, west + 360), unchanged where they are there already."""
    inside = (longitude >= west) & (longitude < west + 360)
    return np.where(inside, longitude, west + (longitude - west) % 360)


def westmost(longitude: np.ndarray) -> float:
    """Returns the longitude where photos begin, seen from the widest gap without photos."""
    ordered = np.unique(longitude)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    return float(ordered[(gaps.argmax() + 1) % len(ordered)])


def _binary_tree(names: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a tree that finds boxes: axis (0 latitude, 1 longitude, -1 for a leaf), threshold and two children.

    Where cells were dropped, any threshold between those that are left will do, as a leaf's box is checked in the end.
    """
    nodes: list[list[float]] = [[-1, 0.0, 0, 0]]
    stack = [(0, 0, len(names), 0)]  # node, range of cells, half digits that these have in common
    while stack:
        node, start, end, halves = stack.pop()
        if end - start == 1:
            nodes[node] = [-1, 0.0, start, start]
            continue
        digit, second = divmod(halves, 2)
        ones = [int(names[row][digit]) >> (1 - second) & 1 for row in range(start, end)]
        split = start + len(ones) - sum(ones)
        if split in (start, end):
            stack.append((node, start, end, halves + 1))
            continue
        low = len(nodes)
        nodes[node] = [second, float(boxes[split:end, second].min()), low, low + 1]
        nodes += [[-1, 0.0, 0, 0], [-1, 0.0, 0, 0]]
        stack += [(low, start, split, halves + 1), (low + 1, split, end, halves + 1)]
    table = np.array(nodes)
    return table[:, 0].astype(int), table[:, 1], table[:, 2:].astype(int)


def quadtree(photos: Points, *, max_images: int = 1000, min_images: int = 1, max_depth: int = 10) -> QuadtreeCells:
    """Boxes of degrees, cut at their midpoints (OSV-5M, https://arxiv.org/abs/2404.18873).

    Starts with the smallest box around all photos. A box with at least max_images photos is cut into four at the middle
    of its latitudes and of its longitudes. Boxes without photos are dropped. OSV-5M: max_images=1000, max_depth=10.

    Args:
        photos: training photos.
        max_images: a box with as many photos is cut.
        min_images: a box with fewer photos is dropped.
        max_depth: how often a box is cut at most, up to 24 times.
    """
    return _build(photos, _middle, max_images, min_images, max_depth)


def quadtree_median(
    photos: Points, *, max_images: int = 5000, min_images: int = 1, max_depth: int = 10
) -> QuadtreeCells:
    """Boxes of degrees, cut at the median photo, so that all have about as many photos.

    The adaptive quadtree of OSV-5M (https://arxiv.org/abs/2404.18873).

    Like `quadtree`, but a box is cut at the median latitude, and its halves at their own median longitudes.

    Args:
        photos: training photos.
        max_images: a box with as many photos is cut.
        min_images: a box with fewer photos is dropped.
        max_depth: how often a box is cut at most, up to 24 times.
    """
    return _build(photos, _median, max_images, min_images, max_depth)


Cut = Callable[[np.ndarray, float, float], float]


def _middle(values: np.ndarray, low: float, high: float) -> float:
    return (low + high) / 2


def _median(values: np.ndarray, low: float, high: float) -> float:
    return float(np.median(values)) if len(values) else (low + high) / 2


def _build(photos: Points, cut: Cut, max_images: int, min_images: int, max_depth: int) -> QuadtreeCells:
    if max_depth > MAX_DEPTH:
        raise ArgumentError("cell_options", f"max_depth={max_depth} must be at most {MAX_DEPTH}")
    west = westmost(photos.longitude)
    values = np.stack([photos.latitude, unrolled(photos.longitude, west)])
    root = Box(*values.min(axis=1), *values.max(axis=1))
    found = sorted(_leaves(values, root, cut, max_images, min_images, max_depth))
    if not found:
        raise ArgumentError(
            "cell_options",
            f"min_images={min_images}: no cell contains that many of the {values.shape[1]} photos; lower it",
        )
    names = np.array([name for name, _ in found], dtype=object)
    return QuadtreeCells(names, np.array([box for _, box in found]), west, root.north, root.east)


def _leaves(
    values: np.ndarray, root: Box, cut: Cut, max_images: int, min_images: int, max_depth: int
) -> Iterator[tuple[str, Box]]:
    """Yields names and boxes of the leaves, at least min_images photos each."""
    stack = [("", root, np.arange(values.shape[1]))]
    while stack:
        name, box, rows = stack.pop()
        if len(rows) < max(min_images, 1):
            continue
        parts = _quarters(values, box, rows, cut) if len(rows) >= max_images and len(name) < max_depth else []
        if not parts:
            yield name, box
        stack += [(f"{name}{digit}", *part) for digit, part in enumerate(parts)]


def _quarters(values: np.ndarray, box: Box, rows: np.ndarray, cut: Cut) -> list[tuple[Box, np.ndarray]]:
    """Cuts a box into four with their photos; [] if no box would be smaller, as where all photos have one position."""
    latitude, longitude = values[0, rows], values[1, rows]
    middle = cut(latitude, box.south, box.north)
    north = latitude >= middle
    parts = []
    for south_edge, north_edge, half in ((box.south, middle, ~north), (middle, box.north, north)):
        centre = cut(longitude[half], box.west, box.east)
        east = half & (longitude >= centre)
        parts.append((Box(south_edge, box.west, north_edge, centre), rows[half & ~east]))
        parts.append((Box(south_edge, centre, north_edge, box.east), rows[east]))
    same = max(len(part) for _, part in parts) == len(rows)
    if same and cut is _median:
        return []
    return parts
