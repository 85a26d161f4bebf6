"""Polygons of administrative areas from files, and their areas and centres on the earth."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from cells.base import Points
from cells.rings import polygon_of_ring, polygonal
from commons.errors import ArgumentError, PlacewiseError, did_you_mean, first_line
from commons.sphere import sums_by_group, to_degrees, unit_vectors

if TYPE_CHECKING:
    import geopandas

# Columns that hold names in files of Natural Earth, GADM, geoBoundaries and Denmark, lower case, the best first.
NAME_COLUMNS = ("name", "name_2", "name_1", "shapename", "komnavn", "navn", "admin", "name_en", "id")
WGS84 = "EPSG:4326"
EQUAL_AREA = "+proj=cea +ellps=WGS84"
POLE = 89.9  # degrees: sides beyond follow a pole
STEP_DEGREES = 0.5  # along sides, which are straight in degrees and may bend elsewhere


@dataclass(frozen=True)
class Polygons:
    """Areas of the earth.

    Attributes:
        shapes: valid polygons in degrees, cut at the antimeridian, an object array (A,).
        names: str (A,).
        regions, countries: that areas belong to, str (A,), "" where unknown.
        repaired: how many polygons of the file were invalid and have been repaired.
        dropped: how many of its shapes have no area, such as points and lines.
    """

    shapes: np.ndarray
    names: np.ndarray
    regions: np.ndarray
    countries: np.ndarray
    repaired: int = 0
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.shapes)


def read_polygons(
    path: str | Path, name: str | None = None, region: str | None = None, country: str | None = None
) -> Polygons:
    """Reads GeoJSON, TopoJSON, a shapefile, a GeoPackage or whatever GDAL knows, in any coordinate system.

    Rows with the same name, region and country are parts of one area. Invalid polygons are repaired, shapes without an
    area are dropped, and both are counted in a warning.

    Args:
        path: path of the file.
        name: column of names; by default, the first that is there of NAME_COLUMNS, in any case; areas of a file without
            such a column are numbered.
        region: column of larger areas that these belong to.
        country: column of countries.

    Raises:
        PlacewiseError: if the file cannot be read, holds no polygon, or no degrees and no coordinate system.
        ArgumentError: if it has no such column.
    """
    frame = _in_degrees(Path(path), _read(Path(path)))
    columns = [
        _texts(frame, Path(path), *pair)
        for pair in (("polygon_name", name), ("polygon_region", region), ("polygon_country", country))
    ]
    shapes, repaired = _repair(frame.geometry.to_numpy())
    whole = np.array([shape is not None and shape.area > 0 for shape in shapes], bool)
    if not whole.any():
        raise PlacewiseError(f"{path}: contains no polygon")
    dropped = len(whole) - int(whole.sum())
    if repaired or dropped:
        logging.warning(f"{path}: {repaired} invalid polygon(s) repaired, {dropped} shape(s) without an area left out")
    columns = [column[whole] for column in columns]
    return Polygons(*_dissolve(shapes[whole], columns), repaired, dropped)


def _read(path: Path) -> "geopandas.GeoDataFrame":
    import geopandas  # takes half a second

    if not path.exists():
        raise PlacewiseError(f"{path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "More than one layer")  # the first is read
            frame = geopandas.read_file(path)
    except Exception as error:  # each driver has its own
        raise PlacewiseError(f"{path}: cannot be read as polygons ({first_line(error)})") from error
    if not isinstance(frame, geopandas.GeoDataFrame) or not len(frame):
        raise PlacewiseError(f"{path}: contains no polygon")
    return frame


def _in_degrees(path: Path, frame: "geopandas.GeoDataFrame") -> "geopandas.GeoDataFrame":
    """Returns the rows in longitude and latitude, without heights."""
    frame = frame.set_geometry(shapely.force_2d(frame.geometry.to_numpy()), crs=frame.crs)
    frame = frame.set_crs(WGS84) if frame.crs is None else frame.to_crs(WGS84)
    west, south, east, north = frame.total_bounds
    if south < -90.001 or north > 90.001 or west < -360 or east > 540:
        raise PlacewiseError(
            f"{path}: x from {west:g} to {east:g} and y from {south:g} to {north:g} are not degrees of longitude and "
            "latitude, and the file has no coordinate system: are they swapped, or in metres?"
        )
    return frame


def _texts(frame: "geopandas.GeoDataFrame", path: Path, parameter: str, column: str | None) -> np.ndarray:
    """Returns a column as texts, "" where there is nothing; numbers for names if no column looks like names."""
    known = [str(name) for name in frame.columns if name != frame.geometry.name]
    if column is None and parameter != "polygon_name":
        return np.full(len(frame), "", dtype=object)
    if column is None:
        by_lower = {name.lower(): name for name in reversed(known)}
        column = next((by_lower[name] for name in NAME_COLUMNS if name in by_lower), None)
        if column is None:
            has = f"its columns are {', '.join(known)}" if known else "it has no columns"
            logging.warning(
                f"{path}: has no names of areas ({has}); areas are numbered. Give a column with `polygon_name`"
            )
            return np.array([str(number) for number in range(1, len(frame) + 1)], dtype=object)
    if column not in known:
        has = f"choose from {', '.join(known)}" if known else "it has no columns"
        raise ArgumentError(parameter, f"{path} has no column {column}{did_you_mean(column, known)}; {has}")
    return frame[column].map(lambda value: "" if value is None or value != value else str(value)).to_numpy(object)


def _repair(shapes: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns shapes that are valid polygons on [-180, 180], None for those without an area, and how many changed."""
    repaired = shapes.copy()
    valid = shapely.is_valid(shapes)
    count = 0
    for row, shape in enumerate(shapes):
        if shape is None or shape.is_empty or shape.geom_type not in ("Polygon", "MultiPolygon", "GeometryCollection"):
            repaired[row] = None
            continue
        if valid[row] and not _crosses(shape):
            repaired[row] = polygonal(shape)
            continue
        if _crosses(shape):  # make_valid would join the wrong sides
            parts = shapely.get_parts(polygonal(shape))
            shape = shapely.union_all([_around(part) if _crosses(part) else shapely.make_valid(part) for part in parts])
        repaired[row] = polygonal(shape if shape.is_valid else shapely.make_valid(shape))
        count += repaired[row].area > 0
    return repaired, count


def _crosses(shape: BaseGeometry) -> bool:
    """Whether a polygon leaves [-180, 180], or runs across the antimeridian there.

    Sides of more than 180 degrees do, but not along a pole, nor from -180 to 180 and back as in a box around the earth.
    """
    west, _, east, _ = shape.bounds
    if west < -180 or east > 180:
        return True
    for part in shapely.get_parts(shape):
        points = shapely.get_coordinates(part)
        sides = np.diff(points[:, 0])[np.abs(points[1:, 1]) < POLE]
        long = sides[np.abs(sides) > 180]
        if (np.abs(long) < 360).any() or long.sum() != 0 or (len(long) and not part.is_valid):
            return True
    return False


def _around(part: BaseGeometry) -> BaseGeometry:
    """Returns a polygon that runs across the antimeridian as one that is cut there."""
    outer, *holes = (_ring(shapely.get_coordinates(ring)[:-1]) for ring in (part.exterior, *part.interiors))
    found = shapely.make_valid(outer)
    for hole in holes:  # in some files the hole is around the outline
        found = shapely.symmetric_difference(found, shapely.make_valid(hole))
    return found


def _ring(corners: np.ndarray) -> BaseGeometry:
    """Returns the polygon of a ring of longitudes and latitudes, (n, 2)."""
    apart = corners[np.abs(corners[:, 1]) < POLE]
    # A ring around a pole may run along it, too, which would undo the turn.
    if len(apart) > 2 and np.ptp(np.unwrap(np.append(apart[:, 0], apart[0, 0]), period=360)[[0, -1]]) > 180:
        corners = apart
    return polygon_of_ring(corners[:, 1], corners[:, 0])


def _dissolve(shapes: np.ndarray, columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Unites rows whose names, regions and countries are the same; sorted by country, region and name."""
    names, regions, countries = columns
    keys = list(zip(countries, regions, names, strict=True))
    order = {key: number for number, key in enumerate(sorted(set(keys)))}
    groups = np.array([order[key] for key in keys])
    rows = [np.flatnonzero(groups == group) for group in range(len(order))]
    united = [shapes[own[0]] if len(own) == 1 else shapely.union_all(list(shapes[own])) for own in rows]
    made = np.empty(len(united), dtype=object)
    made[:] = united
    first = [own[0] for own in rows]
    return made, names[first], regions[first], countries[first]


def areas_km2(shapes: np.ndarray) -> np.ndarray:
    """Returns the areas of polygons in degrees on the WGS84 ellipsoid in square kilometres, (A,)."""
    import geopandas

    dense = shapely.segmentize(shapes, STEP_DEGREES)
    return geopandas.GeoSeries(list(dense), crs=WGS84).to_crs(EQUAL_AREA).area.to_numpy() / 1e6


def centres_of(shapes: np.ndarray) -> Points:
    """Returns the centres of polygons in degrees: the means of the centroids of their parts, weighted by area."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    middle = shapely.get_coordinates(shapely.centroid(parts))
    weight = np.maximum(shapely.area(parts) * np.cos(np.radians(middle[:, 1])), 1e-300)
    vectors = unit_vectors(middle[:, 1], middle[:, 0]) * weight[:, None]
    return Points(*to_degrees(sums_by_group(vectors, owner, len(shapes))))
