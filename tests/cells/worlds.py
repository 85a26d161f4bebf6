"""Photos and polygons that tests build cells of."""

import json
from pathlib import Path

import numpy as np

from cells.base import Points
from commons.sphere import to_degrees

EDGES = np.array(
    [
        (latitude, longitude)
        for latitude in (-90, -45, -35.26438968275466, -1e-9, 0, 1e-9, 35.26438968275466, 45, 90)
        for longitude in (-180, -135, -90, -45, -1e-9, 0, 45, 90, 135, 180, 179.999999999)
    ]
).T


def sphere(count: int, seed: int = 0) -> Points:
    """Points uniform on the sphere."""
    return Points(*to_degrees(np.random.default_rng(seed).normal(size=(count, 3))))


def towns(count: int, number: int = 30, seed: int = 0, spread: float = 0.02) -> Points:
    """Points around towns all over the earth, one of which is at a pole and one on the antimeridian."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(number, 3))
    centres[:2] = [[0, 0, 1], [-1, 0, 0.2]]
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = centres[draw.integers(0, number, count)] + draw.normal(scale=spread, size=(count, 3))
    return Points(*to_degrees(vectors))


def boxes(path: Path, shapes: list[list[list[float]]], **columns: list[object]) -> Path:
    """Writes polygons as GeoJSON, each given by the corners of its ring (longitude, latitude)."""
    features = [
        {
            "type": "Feature",
            "properties": {name: values[row] for name, values in columns.items()},
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        }
        for row, ring in enumerate(shapes)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """The ring of a box."""
    return [[west, south], [east, south], [east, north], [west, north]]
