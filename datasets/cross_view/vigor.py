"""VIGOR (https://arxiv.org/abs/2011.12172): panoramas in four cities, which aerial images cover without a gap.

    Chicago/panorama/<id>,<latitude>,<longitude>,.jpg       or ground/Chicago/...
    Chicago/satellite/satellite_<latitude>_<longitude>.png  or satellite/Chicago/...
    splits/Chicago/satellite_list.txt                       an aerial image in each line
    splits/Chicago/pano_label_balanced.txt                  panorama, then four times aerial image and offset (2 pixels)
    splits/Chicago/same_area_balanced_train.txt, ..._test.txt

The first aerial image is the positive, whose middle is nearest; the other three are semi-positives. Offsets are not
read, so that their errors in Seattle (https://github.com/Jeff-Zilence/VIGOR/issues/2) change nothing.
splits__corrected, whose label files end with __corrected.txt, is read where splits is missing.
"""

import logging
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from commons.errors import PlacewiseError
from commons.sphere import haversine_km
from datasets.cross_view.layout import TEST, TRAIN, PairedLayout, PairedSet, lines_of, listed_images, one_each
from datasets.places import Places

CITIES = ("Chicago", "NewYork", "SanFrancisco", "Seattle")
CROSS = {TRAIN: ("NewYork", "Seattle"), TEST: ("Chicago", "SanFrancisco")}
FIELDS, AERIAL = 13, slice(1, 11, 3)
NEARER_M = 1.0  # names of panoramas have six decimals, about 0.1 m
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
POSITIONS = {
    "photo": re.compile(rf",({NUMBER}),({NUMBER}),[^,/]*$"),
    "aerial": re.compile(rf"_({NUMBER})_({NUMBER})\.[a-z]+$"),
}


class Splits(NamedTuple):
    """A folder of label files, and how their names end."""

    folder: Path
    ending: str


class Vigor(PairedLayout):
    """Protocols: same, all cities in training and test; cross, training and test in different cities."""

    name = "vigor"
    protocols = ("same", "cross")

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there are lists of aerial images of one of the cities."""
        lists = [splits.folder / city / "satellite_list.txt" for splits in _both(folder) for city in CITIES]
        return any(path.is_file() for path in lists)

    @staticmethod
    def evaluated(folder: Path) -> list[str]:
        """Returns the test split; there is no other."""
        return [TEST]

    @classmethod
    def read(cls, folder: Path, split: str, protocol: str, name: str) -> PairedSet:
        """Reads the panoramas of a split, and all aerial images of its cities."""
        splits = next(own for own in _both(folder) if own.folder.is_dir())
        names: dict[str, list[str]] = {"photo": [], "aerial": []}
        labels: list[np.ndarray] = []
        for city in CITIES if protocol == "same" else CROSS[split]:
            places = _image_folders(folder, city)
            listed = [line for _, line in lines_of(splits.folder / city / "satellite_list.txt")]
            rows = {image: len(names["aerial"]) + row for row, image in enumerate(listed)}
            names["aerial"] += [f"{places['aerial']}/{image}" for image in listed]
            stem = f"same_area_balanced_{split}" if protocol == "same" else "pano_label_balanced"
            photos, own = _read_labels(splits.folder / city / f"{stem}{splits.ending}.txt", rows)
            names["photo"] += [f"{places['photo']}/{photo}" for photo in photos]
            labels.append(own)
        photos, aerial = (
            listed_images(folder, own, splits.folder, _positions(own, POSITIONS[kind])) for kind, own in names.items()
        )
        found = np.concatenate(labels)
        _check_nearest(photos, aerial, found, splits.folder)
        return PairedSet(name, photos, aerial, one_each(found[:, :1]), one_each(found[:, 1:]), cls.name, protocol)


def _both(folder: Path) -> list[Splits]:
    return [Splits(folder / "splits", ""), Splits(folder / "splits__corrected", "__corrected")]


def _image_folders(folder: Path, city: str) -> dict[str, str]:
    """Returns where photos and aerial images of a city lie."""
    for photo, aerial in ((f"{city}/panorama", f"{city}/satellite"), (f"ground/{city}", f"satellite/{city}")):
        if (folder / photo).is_dir() and (folder / aerial).is_dir():
            return {"photo": photo, "aerial": aerial}
    raise PlacewiseError(f"{folder}: there are no folders {city}/panorama and {city}/satellite in it")


def _read_labels(source: Path, rows: dict[str, int]) -> tuple[list[str], np.ndarray]:
    """Returns panoramas, and rows of their four aerial images, the positive first, int64 (n, 4)."""
    photos, labels = [], []
    for number, line in lines_of(source):
        fields = line.split()
        if len(fields) != FIELDS:
            raise PlacewiseError(
                f"{source}, line {number}: has {len(fields)} fields, not {FIELDS} (a panorama, and four times an "
                "aerial image and two numbers)"
            )
        unknown = [image for image in fields[AERIAL] if image not in rows]
        if unknown:
            raise PlacewiseError(
                f"{source}, line {number}: contains {unknown[0]}, which satellite_list.txt does not list"
            )
        photos.append(fields[0])
        labels.append([rows[image] for image in fields[AERIAL]])
    return photos, np.array(labels, np.int64).reshape(-1, 4)


def _positions(names: list[str], pattern: re.Pattern) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude in names, NaN where there are none."""
    found = [pattern.search(name) for name in names]
    rows = [[float(value) for value in match.groups()] if match else [np.nan, np.nan] for match in found]
    latitude, longitude = np.array(rows, np.float64).reshape(-1, 2).T
    return latitude, longitude


def _check_nearest(photos: Places, aerial: Places, labels: np.ndarray, source: Path) -> None:
    """Warns of labels whose positive is not the nearest of the four aerial images."""
    at = [column[:, None] for column in photos.degrees]
    metres = 1000 * haversine_km(*at, *(column[labels] for column in aerial.degrees))
    wrong = metres[:, 0] > metres[:, 1:].min(axis=1, initial=np.inf) + NEARER_M
    if wrong.any():
        first = photos.names[int(wrong.argmax())].as_py()
        logging.warning(
            f"{source}: {wrong.sum()} of {len(photos)} panoramas, e.g. {first}, are nearer to one of their "
            "semi-positives than to their positive; they are used as labelled"
        )
