"""VPR_Tutorial (https://arxiv.org/abs/2303.03281): folders of frames and a boolean matrix of correct pairs.

GT.npz                               GThard and GTsoft, (database images, queries)
day_right/ night_right/              GardensPoint
100909_0845/ 180809_1545/            St Lucia
dry/ jan/                            SFU Mountain
"""

from pathlib import Path

import numpy as np

from commons.errors import ArgumentError, PlacewiseError
from datasets.listing import find_images
from datasets.places import Places
from datasets.positives import from_matrix
from datasets.readers.arrays import names_in_npz, read_npz
from datasets.readers.reader import ALL, Choice, Reader, TestFolders, listed_places, one_of
from datasets.test_dataset import TestSet

TRUTH = "GT.npz"
PAIRS = (
    ("day_right", "night_right"),
    ("100909_0845", "180809_1545"),
    ("dry", "jan"),
    ("database", "queries"),
    ("database", "query"),
    ("ref", "query"),
)
PROTOCOLS = {"hard": "correct pairs of GThard", "soft": "correct pairs of GThard and GTsoft"}


class VprTutorial(Reader):
    """`protocol` hard counts pairs of GThard as correct, soft also those of GTsoft."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether the matrices are there."""
        return "GThard" in names_in_npz(folder / TRUTH)

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns the one set; queries are those chosen, or those that the tutorial takes."""
        if not (folder / TRUTH).is_file():
            raise ArgumentError(choice.argument, f"{folder}: there is no {TRUTH} in it")
        protocol = one_of(choice.protocol, PROTOCOLS, "vpr_tutorial", "hard")
        pair = next((pair for pair in PAIRS if all((folder / part).is_dir() for part in pair)), None)
        there = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if choice.queries and choice.queries != (ALL,):
            wanted = choice.queries[0]
            if wanted not in there:
                raise ArgumentError("queries_folder", f"{wanted}: not in {folder}, which has {', '.join(there)}")
            others = [pair[0]] if pair and pair[0] != wanted else [part for part in there if part != wanted]
            pair = (others[0], wanted) if len(others) == 1 else None
        if pair is None:
            raise ArgumentError(
                choice.argument,
                f"{folder}: which of {', '.join(there) or 'no folders'} is the database? Rename two to database and "
                "queries",
            )
        return [TestFolders(name, folder / pair[0], folder / pair[1], "vpr_tutorial", protocol, folder)]

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads frames in the order of their names."""
        source = folders.home / TRUTH
        places = [
            listed_places(folder, find_images(folder).names, folder) for folder in (folders.database, folders.queries)
        ]
        arrays = read_npz(source)
        correct = _matrix(arrays, "GThard", source)
        if folders.part == "soft":
            soft = _matrix(arrays, "GTsoft", source)
            if soft.shape != correct.shape:
                raise PlacewiseError(f"{source}: GThard and GTsoft have different shapes")
            correct = correct | soft
        if correct.shape != (len(places[0]), len(places[1])):
            raise PlacewiseError(
                f"{source}: has {correct.shape[0]} rows and {correct.shape[1]} columns, and there are {len(places[0])} "
                f"images in {folders.database.name} (database) and {len(places[1])} in {folders.queries.name} (queries)"
            )
        protocol = f"{PROTOCOLS[folders.part]}, {folders.database.name} as database, {folders.queries.name} as queries"
        positives = from_matrix(correct.T)
        return TestSet(folders.name, *places, labelled, positives, layout="vpr_tutorial", protocol=protocol)


def _matrix(arrays: dict[str, np.ndarray], name: str, source: Path) -> np.ndarray:
    if name not in arrays or arrays[name].ndim != 2:
        raise PlacewiseError(f"{source}: has no matrix {name}")
    return arrays[name].astype(bool)
