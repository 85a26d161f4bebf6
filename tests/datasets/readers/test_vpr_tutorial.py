from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.test_dataset import TestSet
from tests.datasets.readers.city import Street, copy_images, measured, read, recalls_like


def matrix(lists: list[list[int]], size: int) -> np.ndarray:
    made = np.zeros((size, len(lists)), bool)
    for query, rows in enumerate(lists):
        made[rows, query] = True
    return made


def write(folder: Path, street: Street, names: tuple[str, str] = ("day_right", "night_right")) -> None:
    for part, what in zip(("database", "queries"), names, strict=True):
        copy_images(street, part, lambda number, what=what: folder / what / f"Image{number:03d}.jpg")
    np.savez(folder / "GT.npz", GThard=matrix(street.near(), 9), GTsoft=matrix(street.near(60), 9))


@pytest.mark.parametrize("names", [("day_right", "night_right"), ("100909_0845", "180809_1545"), ("dry", "jan")])
def test_like_its_twin(tmp_path: Path, street: Street, twin: TestSet, names: tuple[str, str]):
    write(tmp_path / "set", street, names)
    results = recalls_like(*read(tmp_path / "set"), twin)
    assert results["protocol"] == f"correct pairs of GThard, {names[0]} as database, {names[1]} as queries"


def test_soft_pairs(tmp_path: Path, street: Street, twin: TestSet):
    write(tmp_path / "set", street)
    (soft,) = read(tmp_path / "set", protocol="soft")
    assert measured(soft).results["R@1"] == measured(twin, threshold=60.0).results["R@1"]
    assert soft.protocol.startswith("correct pairs of GThard and GTsoft")


def test_the_queries_can_be_chosen(tmp_path: Path, street: Street):
    write(tmp_path / "set", street)
    (tmp_path / "set" / "night_right").rename(tmp_path / "set" / "day_left")
    with pytest.raises(ArgumentError, match="which of day_left, day_right is the database"):
        read(tmp_path / "set")
    (found,) = read(tmp_path / "set", queries_folder="day_left")
    assert (found.database.folder.name, found.queries.folder.name) == ("day_right", "day_left")


def test_matrices_of_other_shapes_are_refused(tmp_path: Path, street: Street):
    write(tmp_path / "set", street)
    np.savez(tmp_path / "set" / "GT.npz", GThard=matrix(street.near(), 9).T)
    with pytest.raises(PlacewiseError, match=r"has 7 rows and 9 columns, and there are 9 images in day_right"):
        read(tmp_path / "set")
    np.savez(tmp_path / "set" / "GT.npz", GThard=matrix(street.near(), 9))
    with pytest.raises(PlacewiseError, match="has no matrix GTsoft"):
        read(tmp_path / "set", protocol="soft")
