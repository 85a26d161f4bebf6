"""Folders of geotagged photos: positions in the names of folders, in the photos' names, or in their EXIF data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from commons.errors import PlacewiseError
from datasets.geotagged.photos import GeoPhotos, label_column, with_labels
from datasets.listing import EXTENSIONS, find_images, warn_left_out
from datasets.names import numbers
from datasets.places import make_places
from datasets.reading import read_places

DEGREES = r"(?:^|/)(?P<latitude>[+-]?[0-9]+\.[0-9]+)(?:,|_|, | )(?P<longitude>[+-]?[0-9]+\.[0-9]+)/[^/]*$"
HEADING = r"(?:^|/)(?:heading[_-]?)?(?P<heading>[0-9]{1,3}(?:\.[0-9]+)?)\.[A-Za-z]+$"
INDEX = 9  # names up to this number are taken for counts, not for headings


def is_folder_per_place(folder: Path) -> bool:
    """Whether some folder directly in a folder is named after latitude and longitude, such as 55.6761,12.5683."""
    names = pa.array([f"{entry.name}/" for entry in folder.iterdir() if entry.is_dir()], pa.string())
    return bool(pc.any(pc.match_substring_regex(names, _plain(DEGREES))).as_py())


def read_folder_per_place(folder: Path) -> GeoPhotos:
    """Reads photos in folders named after latitude and longitude, one folder a place.

    The photos of a place are a sequence, so that a split keeps them together. Numbers as names of files are headings,
    such as 0.jpg, 90.jpg, 180.jpg and 270.jpg, if one is above 9 and all are below 360.

    Raises:
        PlacewiseError: if degrees are no point on earth, or there is no image.
    """
    found = find_images(folder)
    names = pa.array(found.names, pa.string())
    degrees = pc.extract_regex(names, DEGREES)
    placed = degrees.is_valid()
    others = placed.false_count
    left_out = [f"{others} photo(s) outside of folders named after latitude and longitude"] if others else []
    warn_left_out(folder, left_out + found.left_out())
    names, degrees = names.filter(placed), degrees.filter(placed)
    if not len(names):
        raise PlacewiseError(f"{folder}: its folders hold no image ({', '.join(EXTENSIONS)})")
    latitude, longitude = (numbers(pc.struct_field(degrees, field)) for field in ("latitude", "longitude"))
    places = make_places(folder, names, latitude=latitude, longitude=longitude, heading=_headings(names))
    return with_labels(places, {"sequence": label_column(pc.replace_substring_regex(names, r"/[^/]*$", ""))}, folder)


def read_photo_folder(folder: Path) -> GeoPhotos:
    """Reads photos whose positions stand in their names, in a places.csv, or in their EXIF data (`datasets.reading`).

    Raises:
        PlacewiseError: as `read_places`, or if no photo has a position.
    """
    places = read_places(folder, positions=False)
    degrees = places.degrees
    if not np.isfinite(degrees.latitude).any():
        raise PlacewiseError(
            f"{folder}: none of its {len(places)} photos has a position in its name or its EXIF data: write a table "
            "with the columns path, latitude and longitude"
        )
    return with_labels(replace(places, given_degrees=degrees), {}, folder)


def _headings(names: pa.Array) -> np.ndarray | None:
    heading = numbers(pc.struct_field(pc.extract_regex(names, HEADING), "heading").fill_null(""))
    return heading if INDEX < np.nanmax(heading, initial=0) < 360 else None


def _plain(pattern: str) -> str:
    """Returns a pattern without names of groups, which only some functions of Arrow take."""
    return pattern.replace("?P<latitude>", "").replace("?P<longitude>", "")
