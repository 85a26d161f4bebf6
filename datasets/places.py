"""Places: a table of images and where each was taken, and distances between places."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import utm
from scipy.spatial import cKDTree

from commons.errors import PlacewiseError

EARTH_RADIUS = 6_371_008.8
BLOCK = 16_384  # queries whose neighbours' coordinates are in memory at once
WGS84_A, WGS84_F = 6_378_137.0, 1 / 298.257223563


@dataclass(frozen=True)
class Places:
    """Images and where they were taken; every column has one entry an image.

    Attributes:
        folder: folder that `names` are relative to.
        names: relative paths with forward slashes (an Arrow array: compact, and shared with worker processes).
        utm_east, utm_north: metres, float64, NaN where unknown.
        utm_zone: int16 zone number, negative in the southern hemisphere, 0 where unknown.
        latitude, longitude: degrees (WGS84), float64, NaN where unknown.
        heading: degrees in [0, 360), float64, NaN where unknown.
        timestamp: as written in the source, "" where unknown.
    """

    folder: Path
    names: pa.Array
    utm_east: np.ndarray
    utm_north: np.ndarray
    utm_zone: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    heading: np.ndarray
    timestamp: pa.Array

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Returns the path of image `index`."""
        return self.folder / self.names[int(index)].as_py()

    def take(self, indices: np.ndarray) -> "Places":
        """Returns the rows `indices`, in that order."""
        columns = {
            name: getattr(self, name)[indices]
            for name in ("utm_east", "utm_north", "utm_zone", "latitude", "longitude", "heading")
        }
        rows = pa.array(np.asarray(indices, dtype=np.int64))
        return replace(self, names=self.names.take(rows), timestamp=self.timestamp.take(rows), **columns)

    @property
    def located(self) -> np.ndarray:
        """Boolean array: which images have a position."""
        return np.isfinite(self.utm_east) & np.isfinite(self.utm_north)


def make_places(
    folder: Path,
    names: pa.Array,
    utm_east: np.ndarray | None = None,
    utm_north: np.ndarray | None = None,
    utm_zone: np.ndarray | None = None,
    latitude: np.ndarray | None = None,
    longitude: np.ndarray | None = None,
    heading: np.ndarray | None = None,
    timestamp: pa.Array | None = None,
) -> Places:
    """Builds a table from the columns at hand; UTM is computed from latitude and longitude where it is missing."""
    size = len(names)
    unknown = np.full(size, np.nan)
    east, north = (unknown.copy() if c is None else np.asarray(c, np.float64) for c in (utm_east, utm_north))
    zone = np.zeros(size, np.int16) if utm_zone is None else np.asarray(utm_zone, np.int16)
    lat, lon = (unknown if c is None else np.asarray(c, np.float64) for c in (latitude, longitude))
    missing = ~(np.isfinite(east) & np.isfinite(north)) & np.isfinite(lat) & np.isfinite(lon)
    if missing.any():
        _check_degrees(folder, names, lat, lon, missing)
        east, north, zone = east.copy(), north.copy(), zone.copy()
        east[missing], north[missing], zone[missing] = to_utm(lat[missing], lon[missing])
    heading = unknown if heading is None else np.mod(np.asarray(heading, np.float64), 360.0)
    if timestamp is None:
        timestamp = pa.nulls(size, pa.string()).fill_null("")
    return Places(Path(folder), names, east, north, zone, lat, lon, heading, timestamp)


def _check_degrees(folder: Path, names: pa.Array, lat: np.ndarray, lon: np.ndarray, rows: np.ndarray) -> None:
    """Raises PlacewiseError if one of `rows` lies where UTM does not reach, or is no point on earth."""
    wrong = np.flatnonzero(rows & ((lat > 84) | (lat < -80) | (np.abs(lon) > 180)))
    if len(wrong):
        first = int(wrong[0])
        raise PlacewiseError(
            f"{Path(folder, names[first].as_py())}: latitude {lat[first]:g}, longitude {lon[first]:g} ({len(wrong)} "
            "such images): UTM reaches from 80 degrees south to 84 north, longitudes from -180 to 180: are they "
            "swapped?"
        )


def to_utm(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projects WGS84 degrees to UTM, each point in its own regular 6-degree zone.

    Returns:
        East and north in metres and the signed zone number (negative in the south), each of shape (n,).
    """
    zones = (np.floor((longitude + 180) / 6).astype(np.int16) % 60 + 1) * np.where(latitude < 0, -1, 1)
    east, north = np.empty_like(latitude), np.empty_like(latitude)
    for zone in np.unique(zones):
        rows = zones == zone
        east[rows], north[rows], _, _ = utm.from_latlon(
            latitude[rows],
            longitude[rows],
            force_zone_number=abs(int(zone)),
            force_zone_letter="N" if zone > 0 else "M",
        )
    return east, north, zones.astype(np.int16)


def latitude_longitude(places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Returns WGS84 degrees, computed from UTM where the source gave none; NaN where neither is known."""
    latitude, longitude = places.latitude.copy(), places.longitude.copy()
    missing = ~(np.isfinite(latitude) & np.isfinite(longitude)) & places.located & (places.utm_zone != 0)
    for zone in np.unique(places.utm_zone[missing]):
        rows = missing & (places.utm_zone == zone)
        latitude[rows], longitude[rows] = utm.to_latlon(
            places.utm_east[rows], places.utm_north[rows], abs(int(zone)), northern=bool(zone > 0), strict=False
        )
    return latitude, longitude


def metric_coordinates(*tables: Places) -> list[np.ndarray]:
    """Returns coordinates in metres whose Euclidean distances are the distances between places.

    Tables that lie in one UTM zone give (n, 2) UTM coordinates, as every published VPR figure uses. Otherwise UTM
    coordinates cannot be compared, and the WGS84 latitude and longitude are turned into (n, 3) earth-centred
    coordinates (https://en.wikipedia.org/wiki/Geographic_coordinate_conversion): straight lines through the earth,
    equal to the distance on the ground within 1 mm up to 10 km.

    Raises:
        PlacewiseError: if they lie in several zones and a place that is known by UTM alone does not name its own.
    """
    zones = np.unique(np.concatenate([table.utm_zone[table.located] for table in tables]))
    zones = zones[zones != 0]  # a place that names no zone lies in the zone of the others
    if len(zones) <= 1:
        return [np.stack([table.utm_east, table.utm_north], axis=1) for table in tables]
    degrees = [latitude_longitude(table) for table in tables]
    for table, (latitude, _) in zip(tables, degrees, strict=True):
        lost = np.flatnonzero(table.located & np.isnan(latitude))
        if len(lost):
            raise PlacewiseError(
                f"{table.path(lost[0])} ({len(lost)} such images): it names no UTM zone, and the images it is compared "
                f"with lie in the zones {', '.join(map(str, zones))}: add the zone to its name"
            )
    return [_earth_centred(*own) for own in degrees]


def _earth_centred(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
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


def pair_distances(queries: Places, database: Places, neighbours: np.ndarray) -> np.ndarray:
    """Returns how far each neighbour is from its query.

    Args:
        queries, database: tables with q and d rows.
        neighbours: (q, k) rows of `database`; -1 for none.

    Returns:
        (q, k) metres, inf where there is no neighbour or a position is unknown.
    """
    query_xy, database_xy = metric_coordinates(queries, database)
    metres = np.empty(neighbours.shape)
    for start in range(0, len(neighbours), BLOCK):
        rows = slice(start, start + BLOCK)
        metres[rows] = np.linalg.norm(query_xy[rows, None] - database_xy[neighbours[rows]], axis=2)
    if query_xy.shape[1] == 3:
        metres = 2 * EARTH_RADIUS * np.arcsin(np.minimum(metres / (2 * EARTH_RADIUS), 1))
    return np.where((neighbours < 0) | ~np.isfinite(metres), np.inf, metres)


def nearest_in_space(queries: Places, database: Places, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k database places nearest to each query on the ground.

    Returns:
        (q, k) metres and (q, k) rows of `database`; inf and -1 where there are fewer.
    """
    query_xy, database_xy = metric_coordinates(queries, database)
    known, asked = (np.flatnonzero(np.isfinite(points).all(axis=1)) for points in (database_xy, query_xy))
    metres = np.full((len(queries), k), np.inf)
    rows = np.full((len(queries), k), -1)
    if len(known) and len(asked):
        found, where = cKDTree(database_xy[known]).query(query_xy[asked], k=[*range(1, k + 1)], workers=-1)
        metres[asked] = found
        rows[asked] = np.append(known, -1)[where]
    return metres, rows


def nearest_alike(
    queries: Places, database: Places, threshold: float = np.inf, candidates: int = 64
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the database place nearest to each query; of those up to 10 cm farther the one that looks the same way.

    Panoramas are cut into many images at one spot, of which only some show what the query shows.

    Args:
        queries, database: tables with q and d rows.
        threshold: metres; a place beyond it does not stand for one within.
        candidates: how many of the nearest places to choose from.

    Returns:
        (q,) metres, (q,) rows of `database` and (q,) degrees between both headings, 0 to 180; inf, -1 and NaN where
        unknown.
    """
    metres, rows = nearest_in_space(queries, database, min(candidates, len(database)))
    turn = np.abs(np.mod(queries.heading[:, None] - database.heading[rows] + 180, 360) - 180)
    turn[rows < 0] = np.nan
    nearest = metres[:, :1]
    farther = (metres > nearest + 0.1) | ((metres > threshold) & (nearest <= threshold))
    order = np.lexsort([metres, np.nan_to_num(turn, nan=360.0), farther], axis=1)[:, :1]
    return tuple(np.take_along_axis(values, order, 1)[:, 0] for values in (metres, rows, turn))
