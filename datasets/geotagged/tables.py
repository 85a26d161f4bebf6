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
from datasets.tables import number_column, open_table

NUMBERS = ("latitude", "longitude", "heading")


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
    table, columns, comma = _open(path)
    names = table[columns["path"]].cast(pa.string()).combine_chunks().fill_null("")
    if pc.any(pc.match_substring(names, "\\")).as_py():
        names = pc.replace_substring(names, "\\", "/")
    if pc.any(pc.starts_with(names, "./")).as_py():
        names = pc.replace_substring_regex(names, r"^(\./)+", "")
    values = {
        name: number_column(path, columns[name], table[columns[name]].combine_chunks(), comma)
        for name in NUMBERS
        if name in columns
    }
    labels = {name: label_column(table[columns[name]]) for name in LABELS if name in columns}
    timestamp = None
    if "timestamp" in columns:
        timestamp = table["timestamp"].cast(pa.string()).combine_chunks().fill_null("")
    del table  # twice as large as what is taken from it
    found = _find(path, names, images)
    rows = pa.array(found.rows)
    values = {name: column[found.rows] for name, column in values.items()}
    labels = {name: column.take(rows) for name, column in labels.items() if column is not None}
    timestamp = None if timestamp is None else timestamp.take(rows)
    if found.folders and "sequence" not in labels:  # the photos of a place stay together
        labels["sequence"] = label_column(pc.replace_substring_regex(found.names, r"/[^/]*$", ""))
    places = make_places(found.folder, found.names, timestamp=timestamp, **values)
    return with_labels(places, labels, path)


def _open(path: Path) -> tuple[pa.Table, dict[str, str], bool]:
    """Returns a table, the columns to use by their usual names, and whether numbers may have a decimal comma."""
    types = column_types()
    table, comma = open_table(path, types, only=True)
    columns = choose_columns(table.column_names)
    missing = [name for name in ("path", "latitude", "longitude") if name not in columns]
    if missing:
        there, _ = open_table(path, {})
        raise PlacewiseError(
            f"{path}: has no column {' or '.join(missing)}, only {', '.join(there.column_names)}; a path may be called "
            f"{', '.join(PATHS)}"
        )
    twice = [name for name in columns.values() if table.column_names.count(name) > 1]
    if twice:
        raise PlacewiseError(f"{path}: names the column {twice[0]} twice")
    if table.num_rows == 0:
        raise PlacewiseError(f"{path}: has no row")
    return table, columns, comma


def _find(path: Path, names: pa.Array, images: Path | None) -> Located:
    """Finds the images, each once, and warns of rows that are left out."""
    named = np.flatnonzero(pc.not_equal(names, "").to_numpy(zero_copy_only=False))
    if not len(named):
        raise PlacewiseError(f"{path}: no row has a path")
    unnamed = len(names) - len(named)
    found = locate(path, names.take(pa.array(named)) if unnamed else names, images)
    rows = named[found.rows] if unnamed else found.rows
    first = np.sort(np.unique(found.names.dictionary_encode().indices.to_numpy(), return_index=True)[1])
    counts = {
        "row(s) without a path": unnamed,
        "row(s) whose image is not there": found.missing,
        "row(s) whose image name occurs in several folders": found.ambiguous,
        "row(s) that repeat an image": len(rows) - len(first),
    }
    warn_left_out(path, [f"{count} {what}" for what, count in counts.items() if count])
    if not len(first):
        raise PlacewiseError(f"{path}: none of its images can be told apart: write paths with folders")
    if len(first) == len(rows):
        return found._replace(rows=rows)
    return found._replace(names=found.names.take(pa.array(first)), rows=rows[first])
