"""Positions in places.csv or places.parquet."""

import codecs
import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from commons.errors import PlacewiseError, first_line
from datasets.listing import find_images, warn_left_out
from datasets.names import finite, numbers
from datasets.places import Places, make_places
from datasets.sequences import frames_from

TEXTS = ("path", "timestamp", "sequence")
NUMBERS = ("utm_east", "utm_north", "utm_zone", "latitude", "longitude", "heading")
UNKNOWN = pa.array(["", "-", "na", "n/a", "nan", "none", "null", "?"])
BLOCK, CSV_BLOCK = 1 << 20, 1 << 23


def find_table(folder: Path) -> Path | None:
    """Returns the table of a folder of images, None if there is none."""
    tables = (folder / f"places.{kind}" for kind in ("csv", "parquet"))
    return next((table for table in tables if table.is_file()), None)


def read_table(path: Path) -> Places:
    """Reads places.csv or places.parquet.

    Columns: path; latitude and longitude, or utm_east and utm_north (with utm_zone); heading and timestamp if known;
    sequence and frame of images of a video.
    A CSV file may be separated by commas, semicolons or tabs and encoded in UTF-8, UTF-16 or Latin-1, as spreadsheets
    export it. Rows without an image, rows that repeat a path and images without a row are left out and counted in one
    warning.

    Raises:
        PlacewiseError: if the table cannot be read, or a number in it.
    """
    table, comma = open_table(path, {name: pa.string() for name in TEXTS})
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
    names = pc.replace_substring_regex(pc.replace_substring(names, "\\", "/"), r"^(\./)+", "")
    values = {
        name: number_column(path, name, table[name].combine_chunks(), comma)
        for name in NUMBERS
        if name in columns and name != "utm_zone"
    }
    if "utm_zone" in columns:
        values["utm_zone"] = _zones(path, table["utm_zone"].combine_chunks(), values.get("utm_east"))
    timestamp = None
    if "timestamp" in columns:
        timestamp = table["timestamp"].cast(pa.string()).combine_chunks().fill_null("")
    frames = None
    if {"sequence", "frame"} <= columns:
        number = number_column(path, "frame", table["frame"].combine_chunks(), comma)
        frames = frames_from(table["sequence"].cast(pa.string()).combine_chunks(), number, path)
    places = make_places(path.parent, names, timestamp=timestamp, frames=frames, **values)
    kept = _kept_rows(path, names)
    return places if len(kept) == len(places) else places.take(kept)


def open_table(path: Path, types: Mapping[str, pa.DataType | None], only: bool = False) -> tuple[pa.Table, bool]:
    """Reads a CSV or Parquet file as `read_table` does.

    Args:
        path: of the file.
        types: of columns by plain name (`plain_name`); other types, and None, follow from the first megabytes.
        only: whether to read no other columns than these.

    Returns:
        A table with plain column names, and whether its numbers may have a decimal comma.

    Raises:
        PlacewiseError: if it cannot be read.
    """
    try:
        if path.suffix.lower() not in (".csv", ".tsv"):
            table, comma = _read_parquet(path, types, only), False
        else:
            table, comma = _read_csv(path, types, only)
    except (pa.ArrowInvalid, OSError, UnicodeError, csv.Error) as error:
        raise PlacewiseError(f"{path}: cannot be read ({first_line(error)})") from error
    return table.rename_columns([plain_name(name) for name in table.column_names]), comma


class Columns:
    """Columns of a CSV or Parquet file, which are read one by one and not kept; CSV files are parsed at once.

    Attributes:
        names: plain names of all columns of a Parquet file, of the wanted ones of a CSV file.
        rows: how many there are.
        comma: whether numbers may have a decimal comma.
    """

    BATCH = 1 << 20

    def __init__(self, path: Path, types: Mapping[str, pa.DataType | None]) -> None:
        """Opens a file.

        Args:
            path: of the file.
            types: of the wanted columns by plain name; None follows from the values.

        Raises:
            PlacewiseError: if it cannot be read.
        """
        self.path = path
        self._file = self._table = None
        if path.suffix.lower() in (".csv", ".tsv"):
            self._table, self.comma = open_table(path, types, only=True)
            self.names, self.rows = self._table.column_names, self._table.num_rows
            return
        try:
            schema = pa.parquet.read_schema(path)
            encoded = [name for name in schema.names if isinstance(types.get(plain_name(name)), pa.DictionaryType)]
            self._file = pa.parquet.ParquetFile(path, read_dictionary=encoded)
        except (pa.ArrowInvalid, OSError) as error:
            raise PlacewiseError(f"{path}: cannot be read ({first_line(error)})") from error
        self._original = {plain_name(name): name for name in schema.names}
        self.names, self.comma = [plain_name(name) for name in schema.names], False
        self.rows = self._file.metadata.num_rows

    def read(self, name: str) -> pa.ChunkedArray:
        """Reads a column by its plain name; that of a CSV file can be read once.

        Raises:
            PlacewiseError: if it cannot be read.
        """
        if self._table is not None:
            column, self._table = self._table[name], self._table.drop_columns([name])
            return column
        name = self._original[name]
        kind = self._file.schema_arrow.field(name).type
        try:
            batches = self._file.iter_batches(self.BATCH, columns=[name], use_threads=False)
            return pa.chunked_array((batch.column(0) for batch in batches), kind)
        except (pa.ArrowInvalid, OSError) as error:
            raise PlacewiseError(f"{self.path}: cannot be read ({first_line(error)})") from error


def plain_name(name: str) -> str:
    """Returns a column's name in lower case, with underscores for hyphens and spaces."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _read_parquet(path: Path, types: Mapping[str, pa.DataType | None], only: bool) -> pa.Table:
    names = pa.parquet.read_schema(path).names
    wanted = [name for name in names if not only or plain_name(name) in types]
    encoded = [name for name in wanted if isinstance(types.get(plain_name(name)), pa.DictionaryType)]
    return pa.parquet.read_table(path, columns=wanted, read_dictionary=encoded)


def _read_csv(path: Path, types: Mapping[str, pa.DataType | None], only: bool) -> tuple[pa.Table, bool]:
    encoding = _encoding(path)
    with open(path, encoding="utf-8-sig" if encoding == "utf8" else encoding, newline="") as stream:
        header = stream.readline()
    delimiter = max(",;\t", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    known = {name: types.get(plain_name(name)) for name in names}
    reader = pa.csv.open_csv(  # block by block: a third of the memory of reading all at once
        path,
        pa.csv.ReadOptions(encoding=encoding, block_size=CSV_BLOCK),
        pa.csv.ParseOptions(delimiter=delimiter),
        pa.csv.ConvertOptions(
            column_types={name: kind for name, kind in known.items() if kind is not None},
            include_columns=[name for name in names if plain_name(name) in types] if only else None,
        ),
    )
    return reader.read_all(), delimiter != ","


def _encoding(path: Path) -> str:
    """Returns the encoding of a text file: UTF-16 if it begins like that, UTF-8 if it is valid, otherwise Latin-1."""
    with open(path, "rb") as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        stream.seek(0)
        decoders = {name: codecs.getincrementaldecoder(name)() for name in ("utf8", "cp1252")}
        while decoders:
            block = stream.read(BLOCK)
            if block and block.isascii() and not any(decoder.getstate()[0] for decoder in decoders.values()):
                continue  # valid in both, and no character began in the block before
            for name in list(decoders):
                try:
                    decoders[name].decode(block, final=not block)
                except UnicodeDecodeError:
                    del decoders[name]
            if not block:
                break
    return next(iter(decoders), "latin-1")


def number_column(path: Path, name: str, column: pa.Array, comma: bool) -> np.ndarray:
    """Returns a column as float64 (n,), NaN where it says nothing; raises PlacewiseError where it is no number."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return finite(column.cast(pa.float64()))
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))
    values = numbers(pc.replace_substring(texts, ",", ".") if comma else texts)
    wrong = np.isnan(values) & ~pc.is_in(pc.utf8_lower(texts), UNKNOWN).to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(wrong.argmax())
        units = {"utm_east": "metres such as 549678.37", "frame": "a whole number such as 12"}
        units["utm_north"] = units["utm_east"]
        unit = units.get(name, "decimal degrees such as 48.8583")
        raise PlacewiseError(f"{path}: row {row + 1}: {name} {texts[row].as_py()} is not a number: write {unit}")
    return values


def _zones(path: Path, column: pa.Array, east: np.ndarray | None) -> np.ndarray:
    zones = numbers(column.cast(pa.string()).fill_null(""))
    needed = np.isfinite(east) if east is not None else np.zeros(len(zones), bool)
    if (needed & ~np.isin(zones, [*range(-60, 0), *range(1, 61)])).any():
        raise PlacewiseError(f"{path}: utm_zone must be a number from 1 to 60, negative in the southern hemisphere")
    return np.where(needed, zones, 0)


def _kept_rows(path: Path, names: pa.Array) -> np.ndarray:
    """Returns the rows whose image is there and that do not repeat another, and warns of everything that is left out.

    Raises:
        PlacewiseError: if none is left.
    """
    found = find_images(path.parent)
    images = pa.array(found.names, pa.string())
    there = pc.is_in(names, images).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(~there):  # of another type, outside of the folder, or in other letter case
        there[row] = (path.parent / names[int(row)].as_py()).is_file()
    if not there.any():
        raise PlacewiseError(
            f"{path}: its first row names {names[0]}, which is not in {path.parent}, nor are the others"
        )
    first = np.unique(names.dictionary_encode().indices.to_numpy(), return_index=True)[1]
    kept = first[there[first]]
    unlisted = len(images) - pc.sum(pc.is_in(images, names)).as_py() if len(images) else 0
    counts = {
        "row(s) whose image is not there": int((~there).sum()),
        "row(s) that repeat a path": int(there.sum()) - len(kept),
        "image(s) without a row": unlisted,
    }
    phrases = [f"{count} {what}" for what, count in counts.items() if count]
    warn_left_out(path, phrases + found.left_out())
    return kept
