"""Names of columns in tables of geotagged photos; where a table has several of a row, the first one counts."""

from collections.abc import Iterable

import pyarrow as pa

from datasets.geotagged.photos import LABELS
from datasets.positions import LATITUDES, LONGITUDES

PATHS = (
    "path",
    "image_path",
    "img_path",
    "file_path",
    "filename",
    "file_name",
    "image",
    "file",
    "img_id",
    "image_id",
    "photo_id",
    "id",
    "key",
    "folder",
    "place",
)
ALIASES = {
    "path": PATHS,
    "latitude": LATITUDES,
    "longitude": LONGITUDES,
    "heading": ("heading", "compass_angle", "bearing"),
    "timestamp": ("timestamp",),
    "country": ("country", "country_code", "country_name"),
    "region": ("region", "admin1", "state"),
    "sub_region": ("sub_region", "subregion", "admin2", "county", "municipality"),
    "city": ("city", "town"),
    "sequence": ("sequence", "sequence_id", "sequence_key"),
    "user": ("user", "user_id", "username", "author", "author_id", "creator_username", "creator_id", "owner"),
}
ENCODED = pa.dictionary(pa.int32(), pa.string())


def column_types() -> dict[str, pa.DataType | None]:
    """Returns the type to read each column as, by plain name; None where it follows from the values."""
    kinds = {"path": pa.string(), "timestamp": pa.string()} | dict.fromkeys(LABELS, ENCODED)
    return {alias: kinds.get(name) for name, aliases in ALIASES.items() for alias in aliases}


def choose_columns(there: Iterable[str]) -> dict[str, str]:
    """Returns the column for each of ALIASES that some plain column names provide."""
    there = set(there)
    found = {name: next((alias for alias in aliases if alias in there), None) for name, aliases in ALIASES.items()}
    return {name: column for name, column in found.items() if column is not None}
