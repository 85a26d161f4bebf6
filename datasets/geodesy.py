"""Points on the earth (WGS84): degrees, UTM, earth-centred coordinates and distances on the ground."""

import numpy as np
import utm

EARTH_RADIUS = 6_371_008.8
WGS84_A, WGS84_F = 6_378_137.0, 1 / 298.257223563
UTM_SOUTH, UTM_NORTH = -80.0, 84.0  # degrees of latitude between which UTM is defined


def to_utm(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projects degrees to UTM, each point in its own regular 6-degree zone.

    Args:
        latitude, longitude: degrees, (n,).

    Returns:
        East and north in metres (float64) and the zone number (int16, negative in the southern hemisphere), each (n,);
        NaN and 0 where UTM is not defined: near the poles, and for points that are NaN.
    """
    east, north = np.full(latitude.shape, np.nan), np.full(latitude.shape, np.nan)
    inside = (latitude >= UTM_SOUTH) & (latitude <= UTM_NORTH) & np.isfinite(longitude)
    number = np.floor((np.where(inside, longitude, 0) + 180) / 6).astype(np.int16) % 60 + 1
    zones = np.where(inside, number * np.where(latitude < 0, -1, 1), 0).astype(np.int16)
    for zone in np.unique(zones[zones != 0]):
        rows = zones == zone
        east[rows], north[rows], _, _ = utm.from_latlon(
            latitude[rows],
            longitude[rows],
            force_zone_number=abs(int(zone)),
            force_zone_letter="N" if zone > 0 else "M",
        )
    return east, north, zones


def from_utm(east: np.ndarray, north: np.ndarray, zone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude in degrees, (n,), of UTM coordinates as `to_utm` returns them; NaN in zone 0."""
    latitude, longitude = np.full(east.shape, np.nan), np.full(east.shape, np.nan)
    known = (zone != 0) & np.isfinite(east) & np.isfinite(north)
    for number in np.unique(zone[known]):
        rows = known & (zone == number)
        latitude[rows], longitude[rows] = utm.to_latlon(
            east[rows], north[rows], abs(int(number)), northern=bool(number > 0), strict=False
        )
    return latitude, longitude


def earth_centred(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Returns earth-centred coordinates in metres, (n, 3), of degrees (n,).

    Straight lines between them run through the earth; `ground_distance` turns their length into one on the ground
    (https://en.wikipedia.org/wiki/Geographic_coordinate_conversion).
    """
    lat, lon = np.radians(latitude), np.radians(longitude)
    eccentricity2 = WGS84_F * (2 - WGS84_F)
    radius = WGS84_A / np.sqrt(1 - eccentricity2 * np.sin(lat) ** 2)
    return np.stack(
        [
            radius * np.cos(lat) * np.cos(lon),
            radius * np.cos(lat) * np.sin(lon),
            radius * (1 - eccentricity2) * np.sin(lat),
        ],
        axis=1,
    )


def ground_distance(straight: np.ndarray) -> np.ndarray:
    """Returns metres on the ground of straight lines through the earth, along a sphere of the mean radius.

    The error is below 1 mm up to 10 km and below 0.6 % everywhere, as the earth is no sphere.
    """
    arc = 2 * EARTH_RADIUS * np.arcsin(np.minimum(straight / (2 * EARTH_RADIUS), 1))
    return np.where(np.isinf(straight), np.inf, arc)
