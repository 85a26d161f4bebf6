"""A small street in the layout of folders, from which the tests write its twins in other layouts."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from datasets.layouts import evaluation_folders
from datasets.places import Places
from datasets.test_dataset import TestSet, read_test_sets
from model.network import GeoLocalizationNet
from tasks.evaluation import evaluate
from tasks.measuring import Evaluation
from tests.conftest import EAST, NORTH, sf_name, write_picture

DATABASE, QUERIES = 9, 7


@dataclass(frozen=True)
class Street:
    """Images of a database and of queries with their positions, in the order of their file names.

    Attributes:
        folder: with database/ and queries/, named by UTM coordinates.
        utm: metres, (n, 2), by what they are.
        paths: of the images, by what they are.
    """

    folder: Path
    utm: dict[str, np.ndarray]
    paths: dict[str, list[Path]]

    def near(self, metres: float = 25.0) -> list[list[int]]:
        """Returns the rows of the database images within a distance of each query."""
        apart = np.linalg.norm(self.utm["queries"][:, None] - self.utm["database"][None], axis=2)
        return [np.flatnonzero(row <= metres).tolist() for row in apart]


def write_street(folder: Path) -> Street:
    """Writes a street: database images every 20 m, queries beside them, the last one far from any."""
    draw = np.random.default_rng(1)
    utm, paths = {}, {}
    offsets = {"database": 20.0 * np.arange(DATABASE), "queries": np.array([3, 24, 31, 77, 85, 140, 900.0])}
    for part, metres in offsets.items():
        utm[part] = np.stack([EAST + metres, np.full(len(metres), NORTH)], axis=1)
        paths[part] = []
        for number, (east, north) in enumerate(utm[part]):
            place = number if part == "database" else [0, 4, 1, 4, 2, 7, 5][number]
            path = folder / part / sf_name(east, north)
            write_picture(path, place, draw)
            paths[part].append(path)
    return Street(folder, utm, paths)


def copy_images(street: Street, part: str, name: Callable[[int], Path]) -> list[Path]:
    """Copies images to other names, by their number; returns the new paths."""
    copies = []
    for number, path in enumerate(street.paths[part]):
        target = name(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        copies.append(target)
    return copies


def read(folder: Path, **choice: object) -> list[TestSet]:
    """Reads the sets of a data set's folder as eval.py does."""
    queries, labelled = choice.pop("queries_folder", None), choice.pop("labelled", True)
    return list(read_test_sets(evaluation_folders([str(folder)], None, [], queries, **choice), labelled))


def measured(test_set: TestSet, **options: object) -> Evaluation:
    """Evaluates a random network on a set."""
    torch.manual_seed(0)
    return evaluate(GeoLocalizationNet("MobileNet_V3_Small", 16), test_set, Accelerator(cpu=True), **options)


def recalls_like(test_set: TestSet, twin: TestSet) -> dict:
    """Checks that two sets give the same predictions and recalls, which are not all the same; returns the results."""
    found, expected = measured(test_set), measured(twin)
    assert np.array_equal(found.predictions, expected.predictions)
    figures = ("R@1", "R@5", "answerable R@1", "answerable R@5", "queries_without_positives", "database", "queries")
    own = {name: found.results[name] for name in figures}
    assert own == {name: expected.results[name] for name in figures}
    assert 0 < own["R@1"] < own["R@5"] < 100 and own["queries_without_positives"] == 1
    assert found.results["layout"] == test_set.layout != "folders"
    return found.results


def names_of(places: Places) -> list[str]:
    """Returns the names of the images."""
    return places.names.to_pylist()
