"""CVUSA, the part of 44,416 pairs (https://arxiv.org/abs/1612.02709): panoramas of the United States.

splits/train-19zl.csv, splits/val-19zl.csv   aerial image, panorama, and others in each line
bingmap/19/0000001.jpg                       aerial images
streetview/panos/0000001.jpg                 panoramas
split_locations/all.csv                      optional: latitude and longitude of aerial image 1 and panorama 1, ...
"""

import csv
from pathlib import Path

import numpy as np

from commons.errors import PlacewiseError, first_line
from datasets.cross_view.layout import TRAIN, VAL, PairedLayout, PairedSet, lines_of, listed_images, one_each

LISTS = {TRAIN: "train-19zl.csv", VAL: "val-19zl.csv"}


class Cvusa(PairedLayout):
    """Aerial image and panorama of a line belong together. Figures are reported on the validation split."""

    name = "cvusa"

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether one of the lists is there."""
        return any((folder / "splits" / file).is_file() for file in LISTS.values())

    @staticmethod
    def evaluated(folder: Path) -> list[str]:
        """Returns the validation split; there is no other."""
        return [VAL]

    @classmethod
    def read(cls, folder: Path, split: str, protocol: str, name: str) -> PairedSet:
        """Reads the pairs of a list."""
        source = folder / "splits" / LISTS[split]
        aerial, photos = [], []
        for number, line in lines_of(source):
            fields = [field.strip().replace("\\", "/") for field in next(csv.reader([line]))]
            if len(fields) < 2 or not (fields[0] and fields[1]):
                raise PlacewiseError(f"{source}, line {number}: is not of the form aerial image, panorama, ...")
            aerial.append(fields[0])
            photos.append(fields[1])
        where = _positions(folder / "split_locations" / "all.csv", photos, source)
        tables = [listed_images(folder, names, source, where) for names in (photos, aerial)]
        return PairedSet(name, *tables, one_each(np.arange(len(photos))), None, cls.name, protocol)


def _positions(source: Path, names: list[str], list_file: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns latitude and longitude of panoramas, whose names are line numbers; None if the file is missing."""
    if not source.is_file():
        return None
    try:
        table = np.loadtxt(source, delimiter=",", usecols=(2, 3), ndmin=2, encoding="utf-8")
        numbers = np.array([int(Path(name).stem) for name in names], np.int64)
    except ValueError as error:
        words = f"{source} and {list_file}: are not positions and numbered images"
        raise PlacewiseError(f"{words} ({first_line(error)})") from error
    if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= len(table):
        raise PlacewiseError(f"{source}: has {len(table)} lines, but {list_file} lists image {numbers.max()}")
    return table[numbers - 1, 0], table[numbers - 1, 1]
