"""Positions of photos without the photos: from a table, or from a folder of images."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from commons.errors import PlacewiseError, first_line
from datasets.names import finite
from datasets.places import Degrees
from datasets.reading import read_places

LATITUDES, LONGITUDES = ("latitude", "lat"), ("longitude", "lon", "lng", "long")


def read_positions(source: str | Path) -> Degrees:
    """Reads latitude and longitude of many photos, which need not be there.

    Args:
        source: a CSV or Parquet file with the columns latitude and longitude (or lat and lon, lng), in any letter case,
            with one row a photo; or a folder of images, as `datasets.reading` reads it.

    Returns:
        Degrees, (n,), NaN where unknown.

    Raises:
        PlacewiseError: if the source is missing, cannot be read or has no such columns.
    """
    source = Path(source)
    if source.is_dir():
        return read_places(source, positions=False).degrees
    table = _read(source)
    return Degrees(_column(source, table, LATITUDES), _column(source, table, LONGITUDES))


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            return pa.parquet.read_table(path, columns=_wanted(pa.parquet.read_schema(path).names))
        with open(path, encoding="utf-8-sig") as stream:
            header = stream.readline()
        names = [name.strip().strip('"') for name in header.rstrip("\n").split(",")]
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(include_columns=_wanted(names)))
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeError) as error:
        raise PlacewiseError(f"{path}: cannot be read as a table ({first_line(error)})") from error


def _wanted(names: list[str]) -> list[str]:
    return [name for name in names if name.lower() in LATITUDES + LONGITUDES] or names


def _column(path: Path, table: pa.Table, known: tuple[str, ...]) -> np.ndarray:
    by_lower = {name.lower(): name for name in table.column_names}
    name = next((by_lower[name] for name in known if name in by_lower), None)
    if name is None:
        raise PlacewiseError(f"{path}: has no column {known[0]}, only {', '.join(table.column_names)}")
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type):
        column = pc.if_else(pc.is_in(pc.utf8_lower(column), pa.array(["", "nan", "na", "none"])), None, column)
    try:
        return finite(column.cast(pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise PlacewiseError(f"{path}: {name} holds something that is no number ({first_line(error)})") from error
