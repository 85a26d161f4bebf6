"""Splits photos into training and validation without leaks: whole users, sequences or cells go to one side."""

import logging

import numpy as np

from commons.errors import ArgumentError
from datasets.geotagged.photos import GeoPhotos

SPLITS_BY = ("user", "sequence", "cell")
TOLERANCE = 0.2  # of the share that is asked for


def split_rows(
    photos: GeoPhotos, by: str, share: float, seed: int, cells: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a validation set of whole groups.

    Photos whose group is not known are a group each; without a user, photos of one sequence stay together.

    Args:
        photos: to split.
        by: "user", "sequence" or "cell".
        share: of the photos that are to validate, above 0 and below 1. It is not exceeded.
        seed: of the draw.
        cells: the cell of each photo, int (n,), negative for none; for "cell" only.

    Returns:
        Sorted rows for training and for validation, int64.

    Raises:
        ArgumentError: if no photo names its group, or no group is small enough.
    """
    if not 0 < share < 1:
        raise ArgumentError("share", f"{share:g}: must be above 0 and below 1")
    groups, sizes = np.unique(_groups(photos, by, cells), return_inverse=True, return_counts=True)[1:]
    wanted = share * len(photos)
    chosen = _draw(sizes, wanted, np.random.default_rng(seed))
    validation = chosen[groups]
    reached = int(validation.sum())
    if reached == 0:
        raise ArgumentError(
            "split_by",
            f"{by}: the smallest of {len(sizes)} groups has {sizes.min()} of {len(photos)} photos, more than the "
            f"{share:g} that are to validate: split by another, or raise the share",
        )
    if reached < (1 - TOLERANCE) * wanted:
        logging.warning(f"split by {by}: {reached} photos validate instead of {wanted:.0f}: other groups are too large")
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def _groups(photos: GeoPhotos, by: str, cells: np.ndarray | None) -> np.ndarray:
    """Returns a number for each photo, int64 (n,), that photos of a group share."""
    if by not in SPLITS_BY:
        raise ArgumentError("split_by", f"{by}: choose one of {', '.join(SPLITS_BY)}")
    if by == "cell":
        if cells is None or np.shape(cells) != (len(photos),):
            raise ArgumentError("cells", f"a split by cell needs the cell of each of the {len(photos)} photos")
        numbers = np.asarray(cells)
        known = numbers >= 0 if numbers.dtype.kind != "u" else np.ones(len(numbers), bool)
        numbers = np.unique(numbers, return_inverse=True)[1]
    else:
        numbers = photos.codes(by).astype(np.int64)
        known = numbers >= 0
    if not known.any():
        have = ", ".join(name for name in SPLITS_BY if name in photos.labels) or "neither user nor sequence"
        raise ArgumentError("split_by", f"{by}, but no photo names its {by}; the photos have {have}")
    if by == "user" and not known.all():
        sequences = photos.codes("sequence").astype(np.int64)
        numbers = np.where(known, numbers, sequences + numbers.max() + 1)
        known |= sequences >= 0
    alone = numbers.max() + 1 + np.arange(len(numbers))
    return np.where(known, numbers, alone)


def _draw(sizes: np.ndarray, wanted: float, draw: np.random.Generator) -> np.ndarray:
    """Returns which groups to choose: in random order, each one that still fits into `wanted` photos."""
    left, chosen = draw.permutation(len(sizes)), np.zeros(len(sizes), bool)
    room = int(wanted)
    while len(left := left[sizes[left] <= room]):
        filled = np.cumsum(sizes[left])
        fitting = int(np.searchsorted(filled, room, side="right"))
        chosen[left[:fitting]] = True
        room -= int(filled[fitting - 1])
        left = left[fitting + 1 :]  # the next one does not fit
    return chosen
