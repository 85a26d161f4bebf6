"""Distances between places, and the places nearest to others."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from commons.errors import PlacewiseError
from datasets.geodesy import earth_centred, from_utm, ground_distance
from datasets.places import Places

BLOCK = 16_384  # queries whose neighbours' coordinates are in memory at once
SAMPLE = 500  # places of a table that are looked at to find that all are near each other


def share_utm(*tables: Places) -> bool:
    """Whether all places lie in one UTM zone, so that their UTM coordinates can be compared.

    Places whose source names no zone are taken to lie in the zone of the others.
    """
    zones = [np.unique(table.utm_zone[_in_utm(table)]) for table in tables]
    zones = np.unique(np.concatenate(zones))
    return len(zones[zones != 0]) <= 1 and all(np.array_equal(_in_utm(table), table.located) for table in tables)


def distance_rule(*tables: Places) -> str:
    """Returns how distances between the places of some tables are measured, in words."""
    if not share_utm(*tables):
        return "metres: UTM within a zone, on the ground (WGS84) between zones and near the poles"
    zones = {int(zone) for table in tables for zone in np.unique(table.utm_zone[_in_utm(table)]) if zone}
    names = [f"zone {abs(zone)}{'N' if zone > 0 else 'S'}" for zone in zones]
    return f"metres: UTM, {names[0] if names else 'no zone named'}"


def check_comparable(*tables: Places) -> None:
    """Checks that distances between the places of some tables can be computed.

    Raises:
        PlacewiseError: if they do not share a UTM zone, and a place is known by UTM alone without its zone.
    """
    if share_utm(*tables):
        return
    zones = np.unique(np.concatenate([table.utm_zone[_in_utm(table)] for table in tables]))
    there = ", ".join(str(zone) for zone in zones if zone)
    there = f"in the zones {there}" if there else "near a pole"
    for table in tables:
        lost = np.flatnonzero(table.located & ~np.isfinite(table.degrees).all(axis=0))
        if len(lost):
            raise PlacewiseError(
                f"{table.path(lost[0])} ({len(lost)} such images): it has no UTM zone, and the images it is "
                f"compared with are {there}: add the zone to its name"
            )


def _in_utm(table: Places) -> np.ndarray:
    return np.isfinite(table.utm_east) & np.isfinite(table.utm_north)


def _plane(table: Places) -> np.ndarray:
    return np.stack([table.utm_east, table.utm_north], axis=1)


def globe_coordinates(table: Places) -> np.ndarray:
    """Returns earth-centred coordinates (n, 3), from UTM and zone where the source names them: names round degrees."""
    degrees = table.degrees
    if table.given_utm is not None:
        exact = from_utm(*table.given_utm)
        degrees = [np.where(np.isfinite(own), own, other) for own, other in zip(exact, degrees, strict=True)]
    return earth_centred(*degrees)


def pair_distances(queries: Places, database: Places, neighbours: np.ndarray) -> np.ndarray:
    """Returns how far each neighbour is from its query.

    Two places in one UTM zone are as far apart as their UTM coordinates, which every published VPR figure uses,
    whatever else the tables hold. Two places in different zones, or near a pole, are as far apart as on the ground.

    Args:
        queries, database: tables with q and d rows.
        neighbours: (q, k) rows of `database`; -1 for none.

    Returns:
        (q, k) metres, inf where there is no neighbour or a position is unknown.

    Raises:
        PlacewiseError: as `check_comparable`.
    """
    check_comparable(queries, database)
    one_zone = share_utm(queries, database)
    plane = _plane(queries), _plane(database)
    globe = () if one_zone else (globe_coordinates(queries), globe_coordinates(database))
    metres = np.empty(neighbours.shape)
    for start in range(0, len(neighbours), BLOCK):
        rows = slice(start, start + BLOCK)
        found = neighbours[rows]
        metres[rows] = np.linalg.norm(plane[0][rows, None] - plane[1][found], axis=2)
        if not one_zone:
            across = queries.utm_zone[rows, None] != database.utm_zone[found]
            across |= queries.utm_zone[rows, None] == 0
            straight = np.linalg.norm(globe[0][rows, None] - globe[1][found], axis=2)
            metres[rows] = np.where(across, ground_distance(straight), metres[rows])
    return np.where((neighbours < 0) | ~np.isfinite(metres), np.inf, metres)


def all_near(queries: Places, database: Places, threshold: float) -> bool:
    """Whether every one of several database places is within a distance of every query, so that nothing can be wrong.

    Of large tables, SAMPLE places each, evenly spaced, are looked at.

    Args:
        queries, database: tables with q and d rows.
        threshold: metres.
    """
    if len(queries) < 1 or len(database) < 2:
        return False
    few, some = (
        table.take(np.unique(np.linspace(0, len(table) - 1, SAMPLE).astype(int))) for table in (queries, database)
    )
    every = np.tile(np.arange(len(some)), (len(few), 1))
    return bool((pair_distances(few, some, every) <= threshold).all())


def nearest_in_space(queries: Places, database: Places, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k database places nearest to each query, with distances as `pair_distances` computes them.

    Returns:
        (q, k) metres and (q, k) rows of `database`; inf and -1 where there are fewer.

    Raises:
        PlacewiseError: as `check_comparable`.
    """
    check_comparable(queries, database)
    metres, rows = np.full((len(queries), k), np.inf), np.full((len(queries), k), -1)
    if share_utm(queries, database):
        plane = _plane(queries), _plane(database)
        asked, known = (np.flatnonzero(np.isfinite(points).all(axis=1)) for points in plane)
        if len(known) and len(asked):
            metres[asked], rows[asked] = _nearest(plane[0][asked], plane[1][known], known, k)
        return metres, rows
    _search_own_zones(queries, database, metres, rows)
    _search_other_zones(queries, database, metres, rows)
    return metres, rows


def _nearest(asked: np.ndarray, points: np.ndarray, known: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns distances and rows (a, k) of the k `points` (p, c), which are the rows `known` (p,) of their table, that
    are nearest to each point of `asked` (a, c)."""
    found, where = cKDTree(points).query(asked, k=[*range(1, k + 1)], workers=-1)
    return found, np.append(known, -1)[where]


def _search_own_zones(queries: Places, database: Places, metres: np.ndarray, rows: np.ndarray) -> None:
    """Fills in the nearest places (q, k) of each query's own UTM zone."""
    plane = _plane(queries), _plane(database)
    for zone in np.unique(queries.utm_zone[queries.utm_zone != 0]):
        asked, known = (np.flatnonzero(_in_utm(table) & (table.utm_zone == zone)) for table in (queries, database))
        if len(known) and len(asked):
            metres[asked], rows[asked] = _nearest(plane[0][asked], plane[1][known], known, metres.shape[1])


def _search_other_zones(queries: Places, database: Places, metres: np.ndarray, rows: np.ndarray) -> None:
    """Puts places of other zones before farther ones, zone by zone; zone 0 are the places near a pole."""
    globe = globe_coordinates(queries), globe_coordinates(database)
    asking, there = (np.isfinite(points).all(axis=1) for points in globe)
    for zone in np.unique(database.utm_zone[there]):
        known = np.flatnonzero(there & (database.utm_zone == zone))
        asked = np.flatnonzero(asking & ((queries.utm_zone != zone) | (zone == 0)))
        points = globe[1][known]
        # A zone whose bounding box is farther away than what was found needs no search.
        outside = np.maximum(points.min(axis=0) - globe[0][asked], globe[0][asked] - points.max(axis=0))
        least = ground_distance(np.linalg.norm(np.maximum(outside, 0), axis=1))
        asked = asked[least <= metres[asked, -1]]
        if not len(asked):
            continue
        straight, where = _nearest(globe[0][asked], points, known, metres.shape[1])
        both = np.concatenate([metres[asked], ground_distance(straight)], axis=1)
        order = np.argsort(both, axis=1, kind="stable")[:, : metres.shape[1]]
        candidates = np.concatenate([rows[asked], where], axis=1)
        metres[asked], rows[asked] = (np.take_along_axis(values, order, 1) for values in (both, candidates))


def within(queries: Places, database: Places, metres: float) -> Iterator[np.ndarray]:
    """Yields the rows of the database places within a distance of each query, nearest first.

    Args:
        queries, database: tables with q and d rows.
        metres: the distance, which is included; as `pair_distances` computes it.

    Raises:
        PlacewiseError: as `check_comparable`.
    """
    check_comparable(queries, database)
    coordinates = _plane if share_utm(queries, database) else globe_coordinates
    points = [coordinates(table) for table in (queries, database)]
    known = np.flatnonzero(np.isfinite(points[1]).all(axis=1))
    tree = cKDTree(points[1][known]) if len(known) else None
    # Metres of UTM differ from those on the ground by up to 0.1 %, and by more far outside of a zone.
    around = 1.05 * metres + 1
    for start in range(0, len(queries), SAMPLE):
        rows = np.arange(start, min(start + SAMPLE, len(queries)))
        lists: list[np.ndarray] = [np.empty(0, int)] * len(rows)
        asked = np.flatnonzero(np.isfinite(points[0][rows]).all(axis=1))
        if tree is not None and len(asked):
            found = tree.query_ball_point(points[0][rows[asked]], around)
            for position, near in zip(asked, found, strict=True):
                lists[position] = known[np.array(near, int)]
        padded = np.full((len(rows), max(map(len, lists), default=0)), -1)
        for position, near in enumerate(lists):
            padded[position, : len(near)] = near
        distances = pair_distances(queries.take(rows), database, padded)
        for near, own in zip(padded, distances, strict=True):
            order = np.argsort(own, kind="stable")
            yield near[order][own[order] <= metres]


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
