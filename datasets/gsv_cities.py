"""GSV-Cities (https://arxiv.org/abs/2210.10239) as it is downloaded: one CSV file and one folder of images a city.

    Dataframes/London.csv                              place_id,year,month,northdeg,city_id,lat,lon,panoid
    Images/London/London_0000012_2015_05_090_51.5_-0.12_<panoid>.jpg

A place holds images that look at one spot at different times; places lie 100 m or more apart. The names
hold everything but the list of images, so a folder of images alone is read as well.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from commons.errors import PlacewiseError, first_line

COLUMNS = ("place_id", "year", "month", "northdeg", "city_id", "lat", "lon", "panoid")
# Coordinates are written as Python prints floats, so near Greenwich and the equator there are exponents.
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
NAME = (
    r"(?:^|/)(?P<city>[^/]+)_(?P<place>\d{7,})_(?P<year>\d{4})_(?P<month>\d{2})_(?P<heading>\d{3})"
    rf"_(?P<latitude>{NUMBER})_(?P<longitude>{NUMBER})_[^/]*$"
)
EXTENSIONS = ("jpg", "JPG", "jpeg", "png")


def is_gsv_name(name: str) -> bool:
    """Whether an image is named as GSV-Cities names them."""
    return re.search(NAME, name) is not None


def listed_images(folder: Path) -> list[str]:
    """Returns the relative paths of all images that the CSV files in `folder`/Dataframes list, sorted.

    Rows whose image is not there, rows that repeat another and cities without images are left out with a warning.

    Raises:
        PlacewiseError: if a CSV file cannot be read, or there is no city with images.
    """
    names: list[str] = []
    for table in sorted((folder / "Dataframes").glob("[!.]*.csv")):  # macOS leaves ._London.csv
        listed = list(_listed(table))
        city = folder / Path(listed[0]).parent if listed else None
        if city is None or not city.is_dir():
            logging.warning(f"{table}: {folder / 'Images'} has no images of this city; it is left out")
            continue
        found = _with_extensions(city, listed)
        if not found:
            raise PlacewiseError(f"{table}: its first row names {listed[0]}.jpg, which is not in {folder}")
        unique = dict.fromkeys(found)
        counts = {"row(s) whose image is not there": len(listed) - len(found)}
        counts["row(s) that repeat another"] = len(found) - len(unique)
        left_out = "; ".join(f"{count} {what}" for what, count in counts.items() if count)
        if left_out:
            logging.warning(f"{table}: left out: {left_out}")
        names += unique
    if not names:
        raise PlacewiseError(f"{folder}: no city has both a CSV file in Dataframes/ and its folder in Images/")
    return sorted(names)


def _with_extensions(city: Path, listed: list[str]) -> list[str]:
    """Returns the listed images that are in the folder of a city, with their extensions."""
    files = {stem: extension for stem, _, extension in (name.rpartition(".") for name in os.listdir(city))
             if extension in EXTENSIONS}  # fmt: skip
    return [f"{name}.{files[stem]}" for name in listed if (stem := name.rpartition("/")[2]) in files]


def _listed(table: Path) -> Iterator[str]:
    """Yields the images of a city, without their extension."""
    try:
        rows = pa.csv.read_csv(table)
    except (pa.ArrowInvalid, OSError) as error:
        raise PlacewiseError(f"{table}: cannot be read ({first_line(error)})") from error
    if not set(COLUMNS) <= set(rows.column_names):
        raise PlacewiseError(f"{table}: needs the columns {', '.join(COLUMNS)}, has {', '.join(rows.column_names)}")
    columns = [rows[name].to_pylist() for name in COLUMNS]
    try:
        for place, year, month, heading, city, lat, lon, panorama in zip(*columns, strict=True):
            name = f"{city}_{place:07d}_{year:04d}_{month:02d}_{heading:03d}_{float(lat)}_{float(lon)}_{panorama}"
            yield f"Images/{city}/{name}"
    except (TypeError, ValueError) as error:
        raise PlacewiseError(f"{table}: a row is damaged ({first_line(error)})") from error


def parse_gsv_names(paths: pa.Array) -> dict[str, np.ndarray | pa.Array]:
    """Returns latitude, longitude and heading (degrees, NaN where unknown) and the timestamp (YYYYMM) of each name."""
    fields = pc.extract_regex(paths, NAME)
    columns: dict[str, np.ndarray | pa.Array] = {
        name: pc.struct_field(fields, name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        for name in ("latitude", "longitude", "heading")
    }
    year, month = (pc.struct_field(fields, name) for name in ("year", "month"))
    columns["timestamp"] = pc.binary_join_element_wise(year, month, "").fill_null("")
    return columns


def gsv_places(paths: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns which city, counted in alphabetic order, and which of its places each GSV-Cities name shows, (n,) int64.

    Raises:
        PlacewiseError: if a name is not GSV-Cities'.
    """
    fields = pc.extract_regex(paths, NAME)
    if fields.null_count:
        other = paths[pc.index(fields.is_null(), True).as_py()]
        raise PlacewiseError(f"{other}: is not named as GSV-Cities names images, as the first one of its folder is")
    cities, numbers = np.unique(pc.struct_field(fields, "city").to_numpy(zero_copy_only=False), return_inverse=True)
    return numbers.astype(np.int64), pc.struct_field(fields, "place").cast(pa.int64()).to_numpy()
