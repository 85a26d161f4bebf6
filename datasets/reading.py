"""Reading places from file names, from places.csv or places.parquet, from GSV-Cities' CSV files, and from EXIF."""

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from PIL import Image
from tqdm import tqdm

from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path
from commons.threads import in_threads
from datasets.decoding import PILLOW_ERRORS
from datasets.gsv_cities import is_gsv_name, listed_images, parse_gsv_names
from datasets.places import Degrees, Places, make_places

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
# What macOS (._name.jpg, also from its zip files) and Jupyter (.ipynb_checkpoints) leave beside images.
HIDDEN = (".", "__MACOSX")
FIELDS = {
    "utm_east": 1,
    "utm_north": 2,
    "zone": 3,
    "letter": 4,
    "latitude": 5,
    "longitude": 6,
    "heading": 9,
    "time": 13,
}
TEXTS = ("letter", "time")
# Below this many images, parsing names takes less time than looking for a cached table.
CACHED_FROM, CACHE_VERSION = 50_000, 2
EXIF_READERS = 16
FIRST_SOUTHERN, LAST_SOUTHERN = "C", "M"


def read_places(folder: str | Path, positions: bool = True, cache: Path | None = None) -> Places:
    """Reads the table of one folder of images.

    The source is `places.csv` or `places.parquet` in the folder where there is one. Otherwise the images listed in
    `<folder>_images_paths.txt`, or found in the folder and its sub-folders, whose positions stand in their names
    (`@UTM_east@UTM_north@zone@letter@lat@lon@pano_id@tile@heading@pitch@roll@height@timestamp@note@.jpg`, trailing
    fields may be missing, or GSV-Cities' names) or in their EXIF data. GSV-Cities' `Dataframes` list its images.

    Args:
        folder: the folder.
        positions: whether every image must have a position.
        cache: folder where what large sets' names say is kept, keyed by the names; None for no cache.

    Raises:
        PlacewiseError: if the folder is missing or empty, or an image has no position though it must.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PlacewiseError(f"{folder}: there is no such folder")
    table = next(
        (folder / f"places.{kind}" for kind in ("csv", "parquet") if (folder / f"places.{kind}").is_file()), None
    )
    if table is not None:
        places = _read_table(table)
    else:
        places = places_from_names(folder, list_images(folder), cache)
        if not places.located.all():
            places = _fill_from_exif(places)
    if positions and not places.located.all():
        lost = np.flatnonzero(~places.located)
        raise PlacewiseError(
            f"{places.path(lost[0])}: no position in its name, in places.csv or in its EXIF data ({len(lost)} of "
            f"{len(places)} images); name it @UTM_east@UTM_north@...@.jpg or add a places.csv with "
            "path,latitude,longitude"
        )
    return places


def read_images(folder: str | Path) -> Places:
    """Reads the table of a folder whose images need no position: only their names are looked at.

    Raises:
        PlacewiseError: if the folder is missing or empty.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PlacewiseError(f"{folder}: there is no such folder")
    return places_from_names(folder, list_images(folder))


def list_images(folder: Path) -> list[str]:
    """Returns the sorted relative paths of all images in `folder` and below (or as listed beside it)."""
    beside = (Path(f"{path}_images_paths.txt") for path in (folder.absolute(), folder.resolve()))
    listing = next((path for path in beside if path.is_file()), None)
    if (folder / "Dataframes").is_dir():
        names = listed_images(folder)
    elif listing is not None:
        try:
            lines = listing.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise PlacewiseError(f"{listing}: is not UTF-8 text; write it again or delete it") from error
        names = [line.strip().replace("\\", "/") for line in lines]
        names = [name for name in names if name]
        if names and not (folder / names[0]).is_file():
            raise PlacewiseError(
                f"{listing}: its first line names {names[0]}, which is not in {folder}; mend or delete it"
            )
    else:
        names = sorted(_scan(os.fspath(folder), ""))
    if not names:
        raise PlacewiseError(f"{folder}: holds no image ({', '.join(EXTENSIONS)})")
    return names


def _scan(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(HIDDEN):
                continue
            if entry.is_dir():
                yield from _scan(entry.path, f"{prefix}{entry.name}/")
            elif entry.name.lower().endswith(EXTENSIONS):
                yield prefix + entry.name


def places_from_names(folder: Path, names: list[str], cache: Path | None = None) -> Places:
    """Parses file names, all at once, or reads what they said last time; a damaged cache is parsed anew.

    Missing and unreadable fields count as unknown.
    """
    try:
        paths = pa.array(names, pa.string())
    except UnicodeEncodeError as error:
        raise PlacewiseError(f"{folder}: a file name is not valid Unicode ({error.object!r}); rename it") from error
    if cache is None or len(names) < CACHED_FROM:
        return _parse(folder, paths)
    digest = hashlib.blake2b(bytes([CACHE_VERSION]), digest_size=16)
    for buffer in filter(None, paths.buffers()):
        digest.update(buffer)
    file = cache / f"places_{digest.hexdigest()}.arrow"
    try:
        with pa.memory_map(os.fspath(file)) as source:
            table = pa.ipc.open_file(source).read_all().combine_chunks()
        columns = {name: table[name].chunk(0) for name in table.column_names}
        timestamp, heading = columns.pop("timestamp"), columns.pop("heading").to_numpy()
    except (OSError, pa.ArrowInvalid, KeyError):
        places = _parse(folder, paths)
        _save(places, file)
        return places
    numbers = {name: column.to_numpy() for name, column in columns.items()}
    return make_places(folder, paths, **numbers, heading=heading, timestamp=timestamp)


def _save(places: Places, file: Path) -> None:
    """Writes the parsed columns; where that cannot be done, the next start parses anew."""
    columns = {"heading": places.heading, "timestamp": places.timestamp}
    if places.given_degrees is not None:
        columns |= places.given_degrees._asdict()
    if places.given_utm is not None:
        columns |= {f"utm_{name}": column for name, column in places.given_utm._asdict().items()}
    try:
        with atomic_path(file) as temporary, pa.OSFile(os.fspath(temporary), "wb") as sink:
            table = pa.table(columns)
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=len(places))
    except OSError as error:
        logging.warning(f"the positions are not cached in {file.parent}: {error.strerror}")


def _parse(folder: Path, paths: pa.Array) -> Places:
    if is_gsv_name(paths[0].as_py()):
        return make_places(folder, paths, **parse_gsv_names(paths))
    fields = _full_fields(paths) or _any_fields(paths)
    zone = np.nan_to_num(fields["zone"])
    letter = fields["letter"]
    south = pc.and_(pc.greater_equal(letter, FIRST_SOUTHERN), pc.less_equal(letter, LAST_SOUTHERN))
    return make_places(
        folder,
        paths,
        fields["utm_east"],
        fields["utm_north"],
        (np.where((zone >= 1) & (zone <= 60), zone, 0) * np.where(south, -1, 1)).astype(np.int16),
        fields["latitude"],
        fields["longitude"],
        fields["heading"],
        fields["time"],
    )


def _full_fields(paths: pa.Array) -> dict[str, np.ndarray | pa.Array] | None:
    """Reads names that all have every field as one CSV text, faster than names of any kind; None for others."""
    count = paths[0].as_py().count("@") + 1
    if count <= max(FIELDS.values()) + 1:  # the extension would stand in a field that we read
        return None
    kinds = {str(at): pa.string() if name in TEXTS else pa.float64() for name, at in FIELDS.items()}
    try:
        table = pa.csv.read_csv(
            pa.BufferReader("\n".join(paths.to_pylist()).encode()),
            pa.csv.ReadOptions(column_names=[str(at) for at in range(count)]),
            pa.csv.ParseOptions(delimiter="@", quote_char=False),
            pa.csv.ConvertOptions(
                column_types={"0": pa.string(), **kinds}, include_columns=["0", *kinds], null_values=[""]
            ),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    folders = pc.sum(pc.count_substring(table["0"], "/"))
    if len(table) != len(paths) or folders != pc.sum(pc.count_substring(paths, "/")):
        return None  # a line break in a name, or an @ in a folder's
    columns = {name: table[str(at)].chunk(0) for name, at in FIELDS.items()}
    return {name: column if name in TEXTS else _finite(column) for name, column in columns.items()}


def _any_fields(paths: pa.Array) -> dict[str, np.ndarray | pa.Array]:
    """Splits names of any kind; missing and unreadable fields count as unknown."""
    base = pc.replace_substring_regex(paths, r"^.*/|\.[^.@]*$", "")
    # Padding makes every name long enough, so that names with few fields need no case of their own.
    fields = pc.split_pattern(pc.binary_join_element_wise(base, "@" * (max(FIELDS.values()) + 1), ""), "@")
    columns = {name: pc.list_element(fields, position) for name, position in FIELDS.items()}
    return {name: column if name in TEXTS else _numbers(column) for name, column in columns.items()}


def _finite(column: pa.Array) -> np.ndarray:
    """float64 with NaN for anything that is no finite number."""
    values = column.to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)


def _numbers(column: pa.Array) -> np.ndarray:
    """Strings to float64, NaN where a string is no finite number."""
    try:
        values = pc.if_else(pc.equal(column, ""), None, column).cast(pa.float64())
    except pa.ArrowInvalid:
        numeric = pc.match_substring_regex(column, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        values = pc.if_else(numeric, column, None).cast(pa.float64())
    return _finite(values)


def _read_table(path: Path) -> Places:
    """Reads places.csv or places.parquet.

    Columns: path; latitude and longitude, or utm_east and utm_north (with utm_zone); heading and timestamp if known.
    """
    texts = pa.csv.ConvertOptions(column_types={"path": pa.string(), "timestamp": pa.string()})
    try:
        table = pa.csv.read_csv(path, convert_options=texts) if path.suffix == ".csv" else pa.parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise PlacewiseError(f"{path}: cannot be read ({first_line(error)})") from error
    columns = set(table.column_names)
    if "path" not in columns or not ({"latitude", "longitude"} <= columns or {"utm_east", "utm_north"} <= columns):
        raise PlacewiseError(
            f"{path}: needs the columns path and latitude,longitude or utm_east,utm_north, has "
            f"{', '.join(sorted(columns))}"
        )
    if len(columns) < table.num_columns:
        raise PlacewiseError(f"{path}: names a column twice ({', '.join(table.column_names)})")
    if table.num_rows == 0:
        raise PlacewiseError(f"{path}: has no row")
    names = table["path"].cast(pa.string()).combine_chunks()
    if names.null_count:
        raise PlacewiseError(f"{path}: row {names.is_null().index(True).as_py() + 1} has no path")
    if not (path.parent / names[0].as_py()).is_file():
        raise PlacewiseError(f"{path}: its first row names {names[0]}, which is not in {path.parent}")
    numbers = {}
    for name in ("utm_east", "utm_north", "utm_zone", "latitude", "longitude", "heading"):
        if name in columns:
            column = table[name].combine_chunks()
            if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
                numbers[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
            else:
                numbers[name] = _numbers(column.cast(pa.string()).fill_null(""))
    if "utm_zone" in numbers and not np.isin(numbers["utm_zone"], [*range(-60, 0), *range(1, 61)]).all():
        raise PlacewiseError(f"{path}: utm_zone must be a number from 1 to 60, negative in the southern hemisphere")
    timestamp = None
    if "timestamp" in columns:
        timestamp = table["timestamp"].cast(pa.string()).combine_chunks().fill_null("")
    return make_places(path.parent, names, timestamp=timestamp, **numbers)


def _fill_from_exif(places: Places) -> Places:
    """Looks up the images without a position in their EXIF data."""
    lost = np.flatnonzero(~places.located)
    found = in_threads(exif_position, (places.path(index) for index in lost), EXIF_READERS)
    found = list(tqdm(found, "Reading EXIF", len(lost), leave=False, disable=len(lost) < 500))
    given = places.given_degrees or Degrees(*np.full((2, len(places)), np.nan))
    latitude, longitude, heading = given.latitude.copy(), given.longitude.copy(), places.heading.copy()
    timestamp = places.timestamp.to_pylist()
    for index, (lat, lon, direction, time) in zip(lost, found, strict=True):
        latitude[index], longitude[index] = lat, lon
        heading[index] = heading[index] if np.isnan(direction) else direction
        timestamp[index] = time or timestamp[index]
    utm = places.given_utm or (None, None, None)
    return make_places(
        places.folder, places.names, *utm, latitude, longitude, heading, pa.array(timestamp, pa.string())
    )


def exif_position(path: Path) -> tuple[float, float, float, str]:
    """Returns latitude, longitude, heading (degrees, NaN where missing) and time ("" where missing) of a photo."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            gps, details = exif.get_ifd(0x8825), exif.get_ifd(0x8769)
    except PILLOW_ERRORS:
        return np.nan, np.nan, np.nan, ""
    latitude = _degrees(gps.get(2)) * (-1 if gps.get(1) == "S" else 1)
    longitude = _degrees(gps.get(4)) * (-1 if gps.get(3) == "W" else 1)
    return latitude, longitude, _number(gps.get(17)), str(details.get(36867, "")).strip("\x00 ")


def _degrees(value: tuple | None) -> float:
    """Degrees, minutes and seconds to degrees."""
    if not isinstance(value, tuple) or len(value) != 3:
        return np.nan
    degrees, minutes, seconds = map(_number, value)
    return degrees + minutes / 60 + seconds / 3600


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return np.nan
