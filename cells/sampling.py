"""Random points in polygons, uniform over their area on the sphere."""

import numpy as np
import shapely

from cells.base import Points

BLOCK = 1 << 18  # points drawn at once


def draw_points(shapes: np.ndarray, count: int, generator: np.random.Generator) -> Points:
    """Draws points that are uniform over the area of polygons on the sphere.

    Points are drawn in the boxes around the parts of the polygons, uniform in longitude and in the sine of latitude,
    and kept if they lie in their part. Polygons that overlap count once where they do.

    Args:
        shapes: valid polygons in degrees, cut at the antimeridian, object (A,).
        count: number of points.
        generator: generator of random numbers.

    Returns:
        Degrees, (count,).
    """
    parts = shapely.get_parts(shapely.union_all(shapes))
    shapely.prepare(parts)
    west, south, east, north = shapely.bounds(parts).T
    low, high = np.sin(np.radians(south)), np.sin(np.radians(north))
    boxes = (east - west) * (high - low)
    latitude, longitude = np.empty(count), np.empty(count)
    done = 0
    while done < count:
        own = generator.choice(len(parts), BLOCK, p=boxes / boxes.sum())
        across, up = generator.random((2, BLOCK))
        x = west[own] + across * (east - west)[own]
        y = np.degrees(np.arcsin(low[own] + up * (high - low)[own]))
        inside = np.flatnonzero(shapely.contains_xy(parts[own], x, y))[: count - done]
        latitude[done : done + len(inside)], longitude[done : done + len(inside)] = y[inside], x[inside]
        done += len(inside)
    return Points(latitude, longitude)
