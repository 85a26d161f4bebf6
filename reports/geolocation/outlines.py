"""Outlines in few characters: simplified, rounded, and as differences of whole numbers."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely

LAND = Path(__file__).with_name("land.json")
STEPS = 4000  # across the map: half a pixel or less before one zooms in
WORLD_GAP = 60.0  # degrees of longitude without a point; with a narrower gap, a map shows the world
MARGIN = 0.04  # of the extent, around the points
LEAST_MARGIN = 0.0005  # degrees
Ring = list[int]


class Bounds(NamedTuple):
    """What a map shows, in degrees; `east` is above 180 where the map lies across the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    @property
    def extent(self) -> float:
        """The longer side in degrees."""
        return max(self.east - self.west, self.north - self.south)


def bounds_of(latitude: np.ndarray, longitude: np.ndarray) -> Bounds:
    """Returns what a map of points must show; points with NaN do not count.

    The map leaves out the widest gap between longitudes, so it may lie across the antimeridian. Without any point it
    shows the world.
    """
    known = np.isfinite(latitude) & np.isfinite(longitude)
    if not known.any():
        return Bounds(-180.0, -60.0, 180.0, 80.0)
    south, north = latitude[known].min(), latitude[known].max()
    ordered = np.unique((longitude[known] + 180) % 360 - 180)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    widest = int(gaps.argmax())
    west, width = float(ordered[(widest + 1) % len(ordered)]), float(360 - gaps[widest])
    if gaps[widest] < WORLD_GAP:
        west, width = -180.0, 360.0
    pad = max(MARGIN * max(width, north - south), LEAST_MARGIN)
    side = pad if width < 360 else 0.0
    return Bounds(west - side, max(float(south) - pad, -90.0), west + width + side, min(float(north) + pad, 90.0))


def decimals_for(extent: float) -> int:
    """Returns the decimals of degrees that outlines need on a map of an extent in degrees."""
    return int(np.clip(np.ceil(np.log10(5 * STEPS / max(extent, 1e-6))), 0, 6))


def encode_outlines(shapes: np.ndarray, extent: float) -> list[list[Ring]]:
    """Simplifies outlines and writes each as rings of whole numbers.

    Borders that neighbours share stay shared. A ring is [x, y, dx, dy, dx, dy, ...]: longitude and latitude times
    10^decimals of `decimals_for`, then the differences from corner to corner. The first corner does not come again.

    Args:
        shapes: polygons in degrees, an object array (K,).
        extent: extent of the map in degrees.
    """
    scale = 10.0 ** decimals_for(extent)
    if not len(shapes):
        return []
    simple = shapely.coverage_simplify(shapes, extent / STEPS)
    return [_rings(shape, scale) for shape in simple]


def land() -> list[list[Ring]]:
    """Returns the coasts of the world with two decimals of degrees, encoded as by `encode_outlines`.

    They are Natural Earth's land at 1:110 million (public domain, naturalearthdata.com).
    """
    return json.loads(LAND.read_text(encoding="ascii"))


def _rings(shape: shapely.Geometry, scale: float) -> list[Ring]:
    made = []
    for ring in shapely.get_rings(shapely.get_parts(shape)):
        corners = np.rint(shapely.get_coordinates(ring) * scale).astype(np.int64)
        steps = np.diff(corners, axis=0, prepend=np.zeros((1, 2), np.int64))
        kept = steps.any(axis=1)
        kept[0] = True
        steps = steps[kept][:-1]  # the last corner is the first one
        if len(steps) > 2:
            made.append(steps.ravel().tolist())
    return made
