"""Geotagged photos for geolocation: read from tables, folders and tar shards, split without leaks, and compared."""

from datasets.geotagged.duplicates import Duplicates, find_duplicates
from datasets.geotagged.photos import LABELS, GeoPhotos
from datasets.geotagged.reading import find_splits, read_geotagged, read_split
from datasets.geotagged.splitting import SPLITS_BY, split_rows

__all__ = [
    "LABELS",
    "SPLITS_BY",
    "Duplicates",
    "GeoPhotos",
    "find_duplicates",
    "find_splits",
    "read_geotagged",
    "read_split",
    "split_rows",
]
