"""From a ring of points on the earth to a polygon in degrees, over poles and across the antimeridian."""

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

AT_POLE = 1e-9  # degrees


def polygon_of_ring(latitude: np.ndarray, longitude: np.ndarray) -> BaseGeometry:
    """Returns the polygon, cut at the antimeridian, whose corners are joined by lines straight in degrees.

    A ring around a pole holds the pole on its side of the equator. Corners at a pole may have any longitude.

    Args:
        latitude, longitude: degrees, (n,), n >= 3, without the first corner again at the end.
    """
    latitude, longitude = _spread_poles(latitude, longitude)
    turns = np.unwrap(np.append(longitude, longitude[0]), period=360)
    latitude = np.append(latitude, latitude[0])
    if abs(turns[-1] - turns[0]) > 180:  # around a pole
        pole = 90.0 if latitude.mean() > 0 else -90.0
        turns, latitude = np.append(turns, turns[[-1, 0]]), np.append(latitude, [pole, pole])
    turns -= 360 * np.floor((turns.min() + 180) / 360)
    return cut_at_antimeridian(Polygon(np.stack([turns, latitude], axis=1)))


def polygon_of_box(south: float, west: float, north: float, east: float) -> BaseGeometry:
    """Returns the polygon, cut at the antimeridian, between degrees; 360 of longitude at most."""
    shift = 360 * np.floor((west + 180) / 360)
    return cut_at_antimeridian(box(west - shift, south, east - shift, north))


def cut_at_antimeridian(polygon: BaseGeometry) -> BaseGeometry:
    """Returns a polygon with longitudes from -180 up to 540 as one with longitudes from -180 to 180."""
    west, _, east, _ = polygon.bounds
    if west >= -180 and east <= 180:
        return polygon
    polygon = polygon if polygon.is_valid else shapely.make_valid(polygon)
    parts = [
        affinity.translate(shapely.intersection(polygon, box(start, -90, start + 360, 90)), -180 - start)
        for start in (-180, 180)
    ]
    return polygonal(shapely.union_all(parts))


def polygonal(geometry: BaseGeometry) -> BaseGeometry:
    """Returns only the parts of a geometry that have an area."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    return shapely.union_all([part for part in shapely.get_parts(geometry) if part.area > 0])


def _spread_poles(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replaces each corner at a pole by two, at the longitudes of the corners before and after it."""
    poles = np.flatnonzero(np.abs(latitude) > 90 - AT_POLE)
    if not len(poles):
        return latitude, longitude
    lat, lon = [], []
    for index, (phi, lam) in enumerate(zip(latitude, longitude, strict=True)):
        if index in poles:
            lat += [phi, phi]
            lon += [longitude[index - 1], longitude[(index + 1) % len(longitude)]]
        else:
            lat.append(phi)
            lon.append(lam)
    return np.array(lat), np.array(lon)


def great_circles(corners: np.ndarray, segments: int) -> np.ndarray:
    """Returns unit vectors along the great circles between corners, `segments` for each side, (k * segments, 3)."""
    following = np.roll(corners, -1, axis=0)
    shares = np.arange(segments)[:, None] / segments
    points = corners[:, None] * (1 - shares) + following[:, None] * shares
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    return points.reshape(-1, 3)
