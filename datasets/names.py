"""Positions in the names of images.

    @UTM_east@UTM_north@zone@letter@lat@lon@pano_id@tile@heading@pitch@roll@height@timestamp@note@.jpg

Fields may be empty, and trailing ones missing. Names of GSV-Cities are read as well.
"""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from commons.errors import PlacewiseError
from commons.files import atomic_path
from datasets.gsv_cities import is_gsv_name, parse_gsv_names
from datasets.places import Places, make_places

FIELDS = {
    "start": 0,
    "utm_east": 1,
    "utm_north": 2,
    "zone": 3,
    "letter": 4,
    "latitude": 5,
    "longitude": 6,
    "heading": 9,
    "time": 13,
}
TEXTS = ("start", "letter", "time")
# Below this many images, parsing names takes less time than looking for a cached table.
CACHED_FROM, CACHE_VERSION = 50_000, 2
FIRST_SOUTHERN, LAST_SOUTHERN = "C", "M"
Columns = dict[str, np.ndarray | pa.Array]


def places_from_names(folder: Path, names: list[str], cache: Path | None = None) -> Places:
    """Parses file names, all at once, or reads what they said last time; a damaged cache is parsed anew.

    Missing and unreadable fields count as unknown.

    Args:
        folder: folder that the names are relative to.
        names: relative paths.
        cache: folder where what large sets' names say is kept, keyed by the names; None for no cache.

    Raises:
        PlacewiseError: if a name is not valid Unicode, or its degrees are no point on earth.
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
    columns: Columns = {"heading": places.heading, "timestamp": places.timestamp}
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
    zone = np.where((zone >= 1) & (zone <= 60), zone, 0)
    _forget_other_names(fields, zone)
    south = pc.and_(pc.greater_equal(fields["letter"], FIRST_SOUTHERN), pc.less_equal(fields["letter"], LAST_SOUTHERN))
    return make_places(
        folder,
        paths,
        fields["utm_east"],
        fields["utm_north"],
        (zone * np.where(south, -1, 1)).astype(np.int16),
        fields["latitude"],
        fields["longitude"],
        fields["heading"],
        fields["time"],
    )


def _forget_other_names(fields: Columns, zone: np.ndarray) -> None:
    """Makes the numbers unknown of names that do not begin with @ and name no zone, such as IMG@2019@10.jpg."""
    begun = pc.or_(pc.equal(fields["start"], ""), pc.ends_with(fields["start"], "/"))
    other = ~begun.to_numpy(zero_copy_only=False) & (zone == 0)
    if other.any():
        for name, column in fields.items():
            if name not in TEXTS:
                fields[name] = np.where(other, np.nan, column)


def _full_fields(paths: pa.Array) -> Columns | None:
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
            pa.csv.ConvertOptions(column_types=kinds, include_columns=list(kinds), null_values=[""]),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    folders = pc.sum(pc.count_substring(table["0"], "/"))
    if len(table) != len(paths) or folders != pc.sum(pc.count_substring(paths, "/")):
        return None  # a line break in a name, or an @ in a folder's
    columns = {name: table[str(at)].chunk(0) for name, at in FIELDS.items()}
    return {name: column if name in TEXTS else finite(column) for name, column in columns.items()}


def _any_fields(paths: pa.Array) -> Columns:
    """Splits names of any kind; missing and unreadable fields count as unknown."""
    base = pc.replace_substring_regex(paths, r"^.*/|\.[^.@]*$", "")
    # Padding makes every name long enough, so that names with few fields need no case of their own.
    fields = pc.split_pattern(pc.binary_join_element_wise(base, "@" * (max(FIELDS.values()) + 1), ""), "@")
    columns = {name: pc.list_element(fields, position) for name, position in FIELDS.items()}
    return {name: column if name in TEXTS else numbers(column) for name, column in columns.items()}


def finite(column: pa.Array) -> np.ndarray:
    """Returns float64 (n,) with NaN for anything that is no finite number."""
    values = column.to_numpy(zero_copy_only=False)
    known = np.isfinite(values)
    return values if known.all() else np.where(known, values, np.nan)


def numbers(column: pa.Array) -> np.ndarray:
    """Returns strings as float64 (n,), NaN where a string is no finite number."""
    try:
        values = pc.if_else(pc.equal(column, ""), None, column).cast(pa.float64())
    except pa.ArrowInvalid:
        numeric = pc.match_substring_regex(column, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        values = pc.if_else(numeric, column, None).cast(pa.float64())
    return finite(values)
