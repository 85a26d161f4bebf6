"""Photos, where each was taken, and what is known of the place and of who took it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.places import Degrees, Places

LABELS = ("country", "region", "sub_region", "city", "sequence", "user")
# "NA" is not among them: it is the code of Namibia.
NO_LABEL = pa.array(["", "nan", "NaN", "None", "null", "NULL"])
FLICKR_USER = r"(?P<user>[0-9]{4,}@N[0-9]{2})"


@dataclass(frozen=True)
class GeoPhotos:
    """Photos for geolocation; every column has one entry a photo.

    Attributes:
        places: files and positions, NaN where unknown; it is what loaders and image caches take.
        labels: the known ones of LABELS, dictionary-encoded strings, null where unknown.
    """

    places: Places
    labels: Mapping[str, pa.DictionaryArray]

    def __len__(self) -> int:
        return len(self.places)

    latitude = property(lambda self: self.places.latitude, doc="Degrees, float64 (n,), NaN where unknown.")
    longitude = property(lambda self: self.places.longitude, doc="Degrees, float64 (n,), NaN where unknown.")

    @property
    def located(self) -> np.ndarray:
        """Boolean array: which photos have a position."""
        return np.isfinite(self.latitude) & np.isfinite(self.longitude)

    def path(self, row: int) -> Path:
        """Returns the path of photo `row`."""
        return self.places.path(row)

    def take(self, rows: np.ndarray) -> "GeoPhotos":
        """Returns the rows `rows`, in that order: numbers, or a boolean for each photo."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        numbers = pa.array(rows)
        return GeoPhotos(self.places.take(rows), {name: column.take(numbers) for name, column in self.labels.items()})

    def codes(self, label: str) -> np.ndarray:
        """Returns a number for each value of a label, int32 (n,), -1 where unknown or where no photo has the label."""
        if label not in self.labels:
            return np.full(len(self), -1, np.int32)
        return self.labels[label].indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def label_column(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray | None:
    """Returns a column as dictionary-encoded strings without spaces around them; None if nothing is known."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    values = pc.utf8_trim_whitespace(column.dictionary.cast(pa.string()))
    values = pc.if_else(pc.is_in(values, NO_LABEL), None, values).dictionary_encode()
    codes = values.indices.take(column.indices).cast(pa.int32())
    return None if codes.null_count == len(codes) else pa.DictionaryArray.from_arrays(codes, values.dictionary)


def users_of_names(names: pa.Array) -> pa.DictionaryArray | None:
    """Returns the Flickr users in names such as 104123223_7410c654ba_19_19355699@N00.jpg; None if there are none."""
    if not pc.any(pc.match_substring(names, "@N")).as_py():
        return None
    found = pc.extract_regex(names, FLICKR_USER)
    return label_column(pc.struct_field(found, "user"))


def with_labels(places: Places, labels: Mapping[str, pa.DictionaryArray | None], source: Path) -> GeoPhotos:
    """Returns photos with the labels that are known; positions of 0, 0 become unknown, which cameras write for none.

    Photos without a position are counted in one warning.

    Args:
        places: files and positions.
        labels: by name; None where nothing is known.
        source: of the photos, for the warning.
    """
    if places.given_degrees is not None:
        zero = (places.given_degrees.latitude == 0) & (places.given_degrees.longitude == 0)
        if zero.any():
            degrees = Degrees(*(np.where(zero, np.nan, column) for column in places.given_degrees))
            places = replace(places, given_degrees=degrees)
    known = {name: labels[name] for name in LABELS if labels.get(name) is not None}
    if "user" not in known and (users := users_of_names(places.names)) is not None:
        known["user"] = users
    photos = GeoPhotos(places, known)
    lost = len(photos) - int(photos.located.sum())
    if lost:
        logging.warning(f"{source}: {lost} of {len(photos)} photos have no position")
    return photos
