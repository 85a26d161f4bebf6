"""Points on the earth taken as a sphere: unit vectors, great-circle distances, means, local maps.

Everything is vectorised and right at the poles and across the antimeridian. Angles are degrees, distances kilometres.
"""

import numpy as np

from commons.errors import PlacewiseError

EARTH_RADIUS_KM = 6371.0088  # mean radius (2 a + b) / 3 of WGS84


def check_degrees(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitudes and longitudes as float64 (n,), longitudes in [-180, 180); NaN and inf in either make both NaN.

    Args:
        latitude: degrees, (n,) or a number.
        longitude: degrees, in [-180, 360], as some sources count from 0 to 360.

    Raises:
        PlacewiseError: if a latitude or a longitude is out of range, as swapped ones are.
    """
    latitude, longitude = np.atleast_1d(np.asarray(latitude, np.float64), np.asarray(longitude, np.float64))
    if latitude.shape != longitude.shape or latitude.ndim != 1:
        raise PlacewiseError(
            f"latitudes {latitude.shape} and longitudes {longitude.shape} must be two columns of the same length"
        )
    known = np.isfinite(latitude) & np.isfinite(longitude)
    wrong = known & ((np.abs(latitude) > 90) | (longitude < -180) | (longitude > 360))
    if wrong.any():
        first = int(wrong.argmax())
        raise PlacewiseError(
            f"row {first + 1}: latitude {latitude[first]:g}, longitude {longitude[first]:g} is not a point on earth "
            f"({wrong.sum()} such rows of {len(latitude)}): latitudes go from -90 to 90 and longitudes from -180 to "
            "180: are they swapped?"
        )
    if not known.all():
        latitude, longitude = np.where(known, latitude, np.nan), np.where(known, longitude, np.nan)
    outside = (longitude < -180) | (longitude >= 180)
    return latitude, np.where(outside, longitude - 360, longitude) if outside.any() else longitude


def unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Returns points on the unit sphere, float64 (..., 3), of degrees (...)."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    cos = np.cos(lat)
    return np.stack([cos * np.cos(lon), cos * np.sin(lon), np.sin(lat)], axis=-1)


def to_degrees(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude in degrees, (...), of vectors (..., 3) of any length above 0."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))


def haversine_km(
    latitude: np.ndarray, longitude: np.ndarray, other_latitude: np.ndarray, other_longitude: np.ndarray
) -> np.ndarray:
    """Returns great-circle distances in kilometres between degrees that broadcast with each other.

        d = 2 R asin sqrt( sin^2((phi2 - phi1) / 2) + cos phi1 cos phi2 sin^2((lambda2 - lambda1) / 2) )

    NaN where a coordinate is NaN.
    """
    phi, other_phi = np.radians(latitude), np.radians(other_latitude)
    half = np.radians(np.subtract(other_longitude, longitude)) / 2
    a = np.sin((other_phi - phi) / 2) ** 2 + np.cos(phi) * np.cos(other_phi) * np.sin(half) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(a, 0, 1)))


def chord_to_km(chord: np.ndarray) -> np.ndarray:
    """Returns great-circle distances in kilometres of straight distances between points on the unit sphere."""
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1))


def km_to_chord(km: np.ndarray) -> np.ndarray:
    """Returns straight distances between points on the unit sphere of great-circle distances in kilometres."""
    return 2 * np.sin(np.minimum(km / (2 * EARTH_RADIUS_KM), np.pi / 2))


def sums_by_group(vectors: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Returns the sum of the vectors (n, d) of each group, (count, d); rows with a negative group are left out."""
    kept = groups >= 0
    if not kept.all():
        vectors, groups = vectors[kept], groups[kept]
    return np.stack([np.bincount(groups, column, count) for column in vectors.T], axis=1)


def spherical_means(
    latitude: np.ndarray, longitude: np.ndarray, groups: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean point of each group: the mean of its unit vectors, moved onto the sphere.

    Args:
        latitude, longitude: degrees, (n,).
        groups: int (n,), from 0 to count - 1; negative ones are left out.
        count: number of groups.

    Returns:
        Latitude and longitude in degrees, (count,); NaN for groups without a point, and where the points cancel out.
    """
    sums = sums_by_group(unit_vectors(latitude, longitude), groups, count)
    sums[np.linalg.norm(sums, axis=1) < 1e-9] = np.nan
    return to_degrees(sums)


def to_local_km(
    latitude: np.ndarray, longitude: np.ndarray, origin_latitude: np.ndarray, origin_longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns kilometres to the east and to the north of origins: the azimuthal equidistant projection.

    The distance from the origin and the direction there are right everywhere. All arguments are degrees that broadcast.
    """
    phi, origin, turn = np.radians(latitude), np.radians(origin_latitude), np.radians(longitude - origin_longitude)
    east = np.cos(phi) * np.sin(turn)
    north = np.cos(origin) * np.sin(phi) - np.sin(origin) * np.cos(phi) * np.cos(turn)
    sine = np.hypot(east, north)
    cosine = np.sin(origin) * np.sin(phi) + np.cos(origin) * np.cos(phi) * np.cos(turn)
    scale = EARTH_RADIUS_KM * np.arctan2(sine, cosine) / np.where(sine > 0, sine, 1)
    return scale * east, scale * north


def from_local_km(
    east: np.ndarray, north: np.ndarray, origin_latitude: np.ndarray, origin_longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude in degrees of kilometres to the east and to the north; undoes `to_local_km`."""
    distance = np.hypot(east, north)
    safe = np.where(distance > 0, distance, 1)
    east, north = np.where(distance > 0, east / safe, 0), np.where(distance > 0, north / safe, 0)
    angle, phi, lam = distance / EARTH_RADIUS_KM, np.radians(origin_latitude), np.radians(origin_longitude)
    out = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)
    eastwards = np.stack([-np.sin(lam), np.cos(lam), np.zeros_like(lam)], axis=-1)
    northwards = np.stack([-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)], axis=-1)
    along = east[..., None] * eastwards + north[..., None] * northwards
    return to_degrees(np.cos(angle)[..., None] * out + np.sin(angle)[..., None] * along)
