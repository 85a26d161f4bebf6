"""Photos of geolocation: test sets, their labels, and a validation set taken from the training photos."""

import logging

import numpy as np
import pyarrow as pa

from cells.s2_ids import leaf_ids
from datasets.geotagged import GeoPhotos, split_rows
from tasks.geolocating import GeoSet
from tasks.references import KINDS

SPLIT_LEVEL = 10  # of S2 cells that a split keeps whole, about 10 km wide


def geo_set(name: str, photos: GeoPhotos) -> GeoSet:
    found = GeoSet(name, photos.places, label_columns(photos))
    logging.info(str(found))
    return found


def label_columns(photos: GeoPhotos) -> dict[str, np.ndarray]:
    """Returns the labels of photos that can be compared, str (n,) by kind."""
    known = {kind: column for kind, column in photos.labels.items() if kind in KINDS}
    return {kind: column.cast(pa.string()).fill_null("").to_numpy(False) for kind, column in known.items()}


def held_out(photos: GeoPhotos, by: str, share: float, seed: int) -> tuple[GeoPhotos, GeoPhotos]:
    """Splits photos into those for training and a validation set, without a user, a sequence or an S2 cell in both."""
    groups = None
    if by == "cell":
        groups = leaf_ids(*photos.places.degrees) >> np.uint64(2 * (30 - SPLIT_LEVEL))
    kept, taken = split_rows(photos, by, share, seed, groups)
    logging.info(f"Validation set: {len(taken)} of {len(photos)} photos, split by {by}")
    return photos.take(kept), photos.take(taken)
