"""VPR-Bench (https://arxiv.org/abs/2005.08135): numbered frames and a list of correct ones.

ref/0000000.jpg ...   query/0000000.jpg ...
ground_truth_new.npy  a row [query, [reference, ...]] for each query
"""

from pathlib import Path

import numpy as np

from commons.errors import ArgumentError, PlacewiseError
from datasets.places import Places
from datasets.positives import from_lists
from datasets.readers.arrays import read_npy
from datasets.readers.reader import Choice, Reader, TestFolders, listed_places, numbered_images
from datasets.test_dataset import TestSet

TRUTH = "ground_truth_new.npy"
PARTS = ("ref", "query")


class VprBench(Reader):
    """ESSEX3IN1, SPED, 17places, GardensPoint, corridor and others."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the ground truth is there."""
        return (folder / TRUTH).is_file()

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns the one set."""
        for part in PARTS:
            if not (folder / part).is_dir():
                raise ArgumentError(choice.argument, f"{folder}: there is no folder named {part} in it")
        if not (folder / TRUTH).is_file():
            raise ArgumentError(choice.argument, f"{folder}: there is no {TRUTH} in it")
        return [TestFolders(name, folder / "ref", folder / "query", "vpr_bench", "", folder)]

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads frames in the order of their numbers; a query without a row has no correct image."""
        source = folders.home / TRUTH
        places = [
            listed_places(folder, numbered_images(folder), folder) for folder in (folders.database, folders.queries)
        ]
        lists: list = [[] for _ in range(len(places[1]))]
        for row in read_npy(source):
            query, rows = _pair(row, source)
            if not 0 <= query < len(lists):
                raise PlacewiseError(f"{source}: contains query {query}, but there are {len(lists)} queries")
            lists[query] = rows
        positives = from_lists(lists, len(places[0]), source)
        protocol = f"correct images as listed in {TRUTH}"
        return TestSet(folders.name, *places, labelled, positives, layout="vpr_bench", protocol=protocol)


def _pair(row: object, source: Path) -> tuple[int, np.ndarray]:
    try:
        query, rows = row
        return int(query), np.asarray(rows).reshape(-1)
    except (TypeError, ValueError):
        raise PlacewiseError(f"{source}: a row is not of the form [query, [reference, ...]]") from None
