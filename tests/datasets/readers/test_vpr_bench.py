from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.test_dataset import TestSet
from tests.datasets.readers.city import Street, copy_images, read, recalls_like


def write(folder: Path, street: Street, rows: list | None = None) -> None:
    for part, what in (("database", "ref"), ("queries", "query")):
        # 10.jpg comes after 9.jpg.
        copy_images(street, part, lambda number, what=what: folder / what / f"{number + 8}.jpg")
    rows = [[query, near] for query, near in enumerate(street.near())] if rows is None else rows
    truth = np.empty((len(rows), 2), object)
    for number, (query, near) in enumerate(rows):
        truth[number, 0], truth[number, 1] = query, near
    np.save(folder / "ground_truth_new.npy", truth, allow_pickle=True)


def test_like_its_twin(tmp_path: Path, street: Street, twin: TestSet):
    write(tmp_path / "17places", street)
    results = recalls_like(*read(tmp_path / "17places"), twin)
    assert results["protocol"] == "correct images as listed in ground_truth_new.npy"


def test_rows_may_be_in_any_order_and_missing(tmp_path: Path, street: Street, twin: TestSet):
    rows = [[query, near] for query, near in enumerate(street.near()) if near]
    write(tmp_path / "bench", street, rows[::-1])
    recalls_like(*read(tmp_path / "bench"), twin)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[7, [0]]], "contains query 7, but there are 7 queries"),
        ([[0, [9]]], "query 0 has the correct image 9"),
        ([["a", [0]]], r"a row is not of the form \[query, \[reference"),
    ],
)
def test_damaged_ground_truth(tmp_path: Path, street: Street, rows: list, words: str):
    write(tmp_path / "bench", street, rows)
    with pytest.raises(PlacewiseError, match=words):
        read(tmp_path / "bench")


def test_missing_parts(tmp_path: Path):
    (tmp_path / "ref").mkdir()
    (tmp_path / "ground_truth_new.npy").touch()
    with pytest.raises(ArgumentError, match="there is no folder named query in it"):
        read(tmp_path)
