"""Tables of geotagged photos: CSV and Parquet, with the columns of OSV5M, Im2GPS3k, YFCC4k, MP-16 and others."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from commons.errors import PlacewiseError
from datasets.geotagged.columns import PATHS, choose_columns, column_types
from datasets.geotagged.files import Located, locate
from datasets.geotagged.photos import LABELS, GeoPhotos, label_column, with_labels
from datasets.listing import warn_left_out
from datasets.places import make_places
from datasets.tables import Columns, number_column, open_table

NUMBERS = ("latitude", "longitude", "heading")
LARGEST = 2**31 - 1  # bytes of text in an Arrow array of strings


def read_photo_table(path: Path, images: Path | None = None) -> GeoPhotos:
    """Reads a table of photos.

    Columns are found by their names (`datasets.geotagged.columns.ALIASES`), in any letter case. Rows without an image
    and rows that repeat one are left out and counted in one warning.

    Args:
        path: a CSV or Parquet file with a path, latitude and longitude, and labels where known. A path may also be the
            name of an image without its folders or its extension, or a folder, all of whose images are then read.
        images: folder of the images; None if they lie beside the table.

    Raises:
        PlacewiseError: if the table cannot be read, has no such columns or no rows, a number is none, degrees are no
            point on earth, or no image is there.
    """
    table, columns = _open(path)
    found = _find(path, _paths(table, columns["path"]), images)
    whole = None if len(found.rows) == table.rows and not found.folders else pa.array(found.rows)

    def read(name: str) -> pa.ChunkedArray:
        column = table.read(columns[name])
        return column if whole is None else column.take(whole)

    # What is encoded comes first: it needs more memory while it is read than the numbers.
    labels = {name: label_column(read(name)) for name in LABELS if name in columns}
    labels = {name: column for name, column in labels.items() if column is not None}
    values = {
        name: number_column(path, columns[name], table.read(columns[name]).combine_chunks(), table.comma)
        for name in NUMBERS
        if name in columns
    }
    values = values if whole is None else {name: column[found.rows] for name, column in values.items()}
    timestamp = None
    if "timestamp" in columns:
        timestamp = read("timestamp").cast(pa.string()).combine_chunks().fill_null("")
    if found.folders and "sequence" not in labels:  # the photos of a place stay together
        labels["sequence"] = label_column(pc.replace_substring_regex(found.names, r"/[^/]*$", ""))
    places = make_places(found.folder, found.names, timestamp=timestamp, **values)
    return with_labels(places, labels, path)


def _paths(table: Columns, name: str) -> pa.Array:
    """Returns the paths with forward slashes; "" where there is none."""
    column = table.read(name).cast(pa.string())
    size = pc.sum(pc.binary_length(column)).as_py() or 0
    if size >= LARGEST:
        raise PlacewiseError(
            f"{table.path}: its {table.rows} paths take {size} bytes, and at most {LARGEST} can be read at once: split "
            "the table, or pack the images into tar files"
        )
    names = column.combine_chunks()
    del column
    if names.null_count:
        names = names.fill_null("")
    if pc.any(pc.match_substring(names, "\\")).as_py():
        names = pc.replace_substring(names, "\\", "/")
    if pc.any(pc.starts_with(names, "./")).as_py():
        names = pc.replace_substring_regex(names, r"^(\./)+", "")
    return names


def _open(path: Path) -> tuple[Columns, dict[str, str]]:
    """Returns a table and the columns to use by their usual names."""
    table = Columns(path, column_types())
    columns = choose_columns(table.names)
    missing = [name for name in ("path", "latitude", "longitude") if name not in columns]
    if missing:
        there, _ = open_table(path, {})
        raise PlacewiseError(
            f"{path}: has no column {' or '.join(missing)}, only {', '.join(there.column_names)}; a path may be called "
            f"{', '.join(PATHS)}"
        )
    twice = [name for name in columns.values() if table.names.count(name) > 1]
    if twice:
        raise PlacewiseError(f"{path}: names the column {twice[0]} twice")
    if table.rows == 0:
        raise PlacewiseError(f"{path}: has no row")
    return table, columns


def _find(path: Path, names: pa.Array, images: Path | None) -> Located:
    """Finds the images, each once, and warns of rows that are left out."""
    named = np.flatnonzero(pc.not_equal(names, "").to_numpy(zero_copy_only=False))
    if not len(named):
        raise PlacewiseError(f"{path}: no row has a path")
    unnamed = len(names) - len(named)
    found = locate(path, names.take(pa.array(named)) if unnamed else names, images)
    rows = named[found.rows] if unnamed else found.rows
    counts = {
        "row(s) without a path": unnamed,
        "row(s) whose image is not there": found.missing,
        "row(s) whose image name occurs in several folders": found.ambiguous,
        "row(s) that repeat an image": found.repeated,
    }
    warn_left_out(path, [f"{count} {what}" for what, count in counts.items() if count])
    if not len(rows):
        raise PlacewiseError(f"{path}: none of its images can be told apart: write paths with folders")
    return found._replace(rows=rows)
