"""The table of a folder of images: from places.csv or places.parquet, from names, or from EXIF data."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from commons.errors import PlacewiseError
from commons.threads import in_threads
from datasets.exif import NO_GPS, Photo, read_exif
from datasets.listing import list_images
from datasets.names import places_from_names
from datasets.places import Degrees, Places
from datasets.tables import find_table, read_table

EXIF_READERS = 16


def read_places(folder: str | Path, positions: bool = True, cache: Path | None = None) -> Places:
    """Reads the table of one folder of images.

    The source is `places.csv` or `places.parquet` in the folder where there is one. Otherwise the images are those
    listed in `<folder>_images_paths.txt` or GSV-Cities' `Dataframes`, or found in the folder and below, and their
    positions stand in their names or in their EXIF data.

    Args:
        folder: the folder.
        positions: whether every image must have a position.
        cache: folder where what large sets' names say is kept, keyed by the names; None for no cache.

    Raises:
        PlacewiseError: if the folder is missing or empty, an image has no position though it must, or degrees stand
            where metres belong.
    """
    folder = _existing(folder)
    table = find_table(folder)
    if table is not None:
        places, zeros = _without_zeros(read_table(table))
        sources, reasons = table.name, Counter()
    else:
        places, zeros = _without_zeros(places_from_names(folder, list_images(folder), cache))
        sources, reasons = "its name or its EXIF data", Counter()
        if not places.located.all():
            places, reasons = _fill_from_exif(places)
    _check_metres(places, positions)
    lost = np.flatnonzero(~places.located)
    reasons["latitude 0 and longitude 0"] = int(zeros[lost].sum())
    known = "; ".join(f"{count} with {what}" for what, count in sorted(reasons.items()) if count)
    if positions and len(lost):
        way_out = "fill in its latitude and longitude" if table else (
            "name it @UTM_east@UTM_north@...@.jpg or add a places.csv with path,latitude,longitude"
        )  # fmt: skip
        raise PlacewiseError(
            f"{places.path(lost[0])}: no position in {sources} ({len(lost)} of {len(places)} images"
            f"{f', {known}' if known else ''}); {way_out}"
        )
    if known:
        logging.warning(f"{folder}: {len(lost)} of {len(places)} images have no position: {known}")
    return places


def read_images(folder: str | Path) -> Places:
    """Reads the table of a folder whose images need no position: only their names are looked at.

    Raises:
        PlacewiseError: if the folder is missing or empty.
    """
    folder = _existing(folder)
    return places_from_names(folder, list_images(folder))


def _existing(folder: str | Path) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise PlacewiseError(f"{folder}: there is no such folder")
    return folder


def _without_zeros(places: Places) -> tuple[Places, np.ndarray]:
    """Makes degrees of 0, 0 unknown, which stand where no position is known; returns which images had them, too."""
    if places.given_degrees is None:
        return places, np.zeros(len(places), bool)
    zero = (places.given_degrees.latitude == 0) & (places.given_degrees.longitude == 0)
    if zero.any():
        degrees = Degrees(*(np.where(zero, np.nan, column) for column in places.given_degrees))
        places = replace(places, given_degrees=degrees)
    return places, zero


def _check_metres(places: Places, positions: bool) -> None:
    """Refuses UTM coordinates without a zone that look like degrees: distances between them would all be near 0."""
    if places.given_utm is None:
        return
    east, north, zone = places.given_utm
    rows = np.flatnonzero((zone == 0) & np.isfinite(east) & np.isfinite(north))
    both = np.abs(np.stack([east[rows], north[rows]]))
    if len(rows) < 2 or both.max() > 180 or both.max(axis=1).min() > 90:
        return
    if np.ptp(east[rows]) == 0 and np.ptp(north[rows]) == 0:
        return
    line = (
        f"{places.path(rows[0])} ({len(rows)} such images): {east[rows[0]]:g} and {north[rows[0]]:g} are read as "
        "metres east and north, but these look like degrees: write @@@@@latitude@longitude@ or places.csv with path,"
        "latitude,longitude; if they are metres, name their UTM zone"
    )
    if positions:
        raise PlacewiseError(line)
    logging.warning(line)


def _fill_from_exif(places: Places) -> tuple[Places, Counter[str]]:
    """Looks up the images without a position in their EXIF data, and counts why some have none there either."""
    lost = np.flatnonzero(~places.located)
    photos = in_threads(read_exif, (places.path(index) for index in lost), EXIF_READERS)
    photos = list(tqdm(photos, "Reading EXIF", len(lost), leave=False, disable=len(lost) < 500))
    given = places.given_degrees or Degrees(*np.full((2, len(places)), np.nan))
    latitude, longitude, heading = given.latitude.copy(), given.longitude.copy(), places.heading.copy()
    timestamp = places.timestamp.to_pylist()
    for index, photo in zip(lost, photos, strict=True):
        latitude[index], longitude[index] = photo.latitude, photo.longitude
        if not np.isnan(photo.heading):
            heading[index] = photo.heading % 360
        timestamp[index] = photo.time or timestamp[index]
    _warn_assumed(places.folder, photos)
    filled = replace(
        places,
        given_degrees=Degrees(latitude, longitude),
        heading=heading,
        timestamp=pa.array(timestamp, pa.string()),
    )
    return filled, Counter(photo.problem for photo in photos if photo.problem not in ("", NO_GPS))


def _warn_assumed(folder: Path, photos: list[Photo]) -> None:
    assumed = sum(photo.assumed for photo in photos)
    if assumed:
        logging.warning(
            f"{folder}: the GPS positions of {assumed} images do not specify the hemisphere: north and east are assumed"
        )
