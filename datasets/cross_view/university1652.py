"""University-1652 (https://arxiv.org/abs/2002.12186): buildings seen by drones, satellites and cameras on the street.

train/drone/<building>/*.jpeg       train/satellite, train/street
test/query_drone/<building>/*.jpeg  test/query_satellite, test/query_street
test/gallery_drone, test/gallery_satellite, test/gallery_street: also buildings that no query shows
"""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa

from commons.errors import PlacewiseError
from datasets.cross_view.layout import TEST, TRAIN, PairedLayout, PairedSet
from datasets.listing import find_images
from datasets.places import Places, make_places
from metrics.cross_view import Lists

ABOVE = "satellite"


class University1652(PairedLayout):
    """The protocol names the view of the queries and the one they are searched in."""

    name = "university1652"
    protocols = ("drone-satellite", "satellite-drone", "street-satellite", "satellite-street")

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there are satellite images of the training or of the test."""
        return (folder / "train" / "satellite").is_dir() or (folder / "test" / "gallery_satellite").is_dir()

    @staticmethod
    def evaluated(folder: Path) -> list[str]:
        """Returns the test split; there is no other."""
        return [TEST]

    @classmethod
    def read(cls, folder: Path, split: str, protocol: str, name: str) -> PairedSet:
        """Reads both views. In training, photos of buildings without a satellite image are left out."""
        view, other = protocol.split("-")
        if split == TRAIN:
            view = other if view == ABOVE else view
            folders = folder / TRAIN / view, folder / TRAIN / ABOVE
        else:
            folders = folder / TEST / f"query_{view}", folder / TEST / f"gallery_{other}"
        (queries, wanted), (references, shown) = (_read_view(own) for own in folders)
        positives = _same(wanted, shown)
        alone = np.diff(positives.offsets) == 0
        if alone.any():
            what = "are left out" if split == TRAIN else "cannot be answered, and count as wrong"
            logging.warning(f"{folders[0]}: {alone.sum()} images of buildings without images in {folders[1]} {what}")
        if split == TRAIN and alone.any():
            queries, wanted = queries.take(np.flatnonzero(~alone)), wanted[~alone]
            positives = _same(wanted, shown)
        if not len(positives.rows):
            raise PlacewiseError(f"{folders[0]} and {folders[1]}: have no building in common")
        from_above = split != TRAIN and view == ABOVE
        return PairedSet(name, queries, references, positives, None, cls.name, protocol, from_above, True)


def _read_view(folder: Path) -> tuple[Places, np.ndarray]:
    """Returns the images of a view, and the building of each, str (n,)."""
    names = find_images(folder).names if folder.is_dir() else []
    if not names:
        raise PlacewiseError(f"{folder}: there are no images in it")
    stray = [name for name in names if "/" not in name]
    if stray:
        raise PlacewiseError(f"{folder / stray[0]}: is not in a folder named after its building")
    return make_places(folder, pa.array(names, pa.string())), np.array([name.split("/")[0] for name in names])


def _same(wanted: np.ndarray, shown: np.ndarray) -> Lists:
    """Returns the references of the building of each query."""
    order = np.argsort(shown, kind="stable")
    first, last = (np.searchsorted(shown[order], wanted, side) for side in ("left", "right"))
    counts = last - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Lists(np.r_[0, np.cumsum(counts)], order[np.repeat(first, counts) + within])
