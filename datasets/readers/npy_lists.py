"""Lists of names and of correct rows as .npy, as GSV-Cities, SALAD and OpenVPRLab hand them out.

X_dbImages.npy    names of the database images, relative to the folder with the images
X_qImages.npy     names of the queries
X_gt.npy          for each query the rows of its correct database images; also X_gt_25m.npy, X_pIdx.npy
X_qIdx.npy        the rows of X_qImages that are queries, if not all are (MSLS)
"""

from pathlib import Path

import numpy as np

from commons.errors import ArgumentError, PlacewiseError
from datasets.places import Places
from datasets.positives import from_lists
from datasets.readers.arrays import read_npy, texts
from datasets.readers.reader import Choice, Reader, TestFolders, folder_with, listed_places, one_of
from datasets.test_dataset import TestSet

SUFFIX = "_dbImages.npy"
TRUTHS = ("gt", "gt_25m", "pIdx")  # in this order, where there are several


class NpyLists(Reader):
    """A set for each X. `protocol` names the ground truth, where there are several: gt_10m, gt_25m."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there is a list of database images."""
        return any(folder.glob(f"*{SUFFIX}"))

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns a set for each list of database images."""
        stems = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
        if not stems:
            raise ArgumentError(choice.argument, f"{folder}: there is no X{SUFFIX} in it")
        sets = []
        for stem in stems:
            truths = _truths(folder, stem)
            if not truths:
                raise ArgumentError(choice.argument, f"{folder}: there is no {stem}_gt.npy or {stem}_pIdx.npy in it")
            truth = one_of(choice.protocol, truths, "npy", truths[0])
            suffix = f" ({stem})" if len(stems) > 1 else ""
            sets.append(TestFolders(name + suffix, folder, folder, "npy", f"{stem}_{truth}", folder))
        return sets

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads the lists; the images lie in the folder, in images/ in it, or above it."""
        home = folders.home
        stem = next(
            stem
            for stem in sorted((path.name.removesuffix(SUFFIX) for path in home.glob(f"*{SUFFIX}")), key=len)[::-1]
            if folders.part.startswith(f"{stem}_")
        )
        lists = {name: home / f"{stem}_{name}.npy" for name in ("dbImages", "qImages", "qIdx")}
        truth = home / f"{folders.part}.npy"
        if not lists["qImages"].is_file():
            raise PlacewiseError(f"{home}: there is no {lists['qImages'].name} in it")
        names = {what: np.array(texts(read_npy(lists[what]), lists[what])) for what in ("dbImages", "qImages")}
        if lists["qIdx"].is_file():
            names["qImages"] = _chosen(names["qImages"], read_npy(lists["qIdx"]), lists["qIdx"])
        lists_of_rows = read_npy(truth)
        if len(lists_of_rows) != len(names["qImages"]):
            raise PlacewiseError(
                f"{truth}: has the correct images of {len(lists_of_rows)} queries, and there are "
                f"{len(names['qImages'])} queries"
            )
        places = [_places(home, names[what].tolist(), lists[what]) for what in ("dbImages", "qImages")]
        positives = from_lists(lists_of_rows, len(places[0]), truth)
        protocol = f"correct images as listed in {truth.name}"
        return TestSet(folders.name, *places, labelled, positives, layout="npy", protocol=protocol)


def _truths(folder: Path, stem: str) -> list[str]:
    """Returns the names of the ground truths of a set, the usual one first."""
    others = {path.stem.removeprefix(f"{stem}_") for path in folder.glob(f"{stem}_gt_*.npy")}
    there = [name for name in TRUTHS if (folder / f"{stem}_{name}.npy").is_file()]
    return [*there, *sorted(others - set(there))]


def _chosen(names: np.ndarray, rows: np.ndarray, source: Path) -> np.ndarray:
    rows = np.asarray(rows).reshape(-1)
    if rows.dtype.kind not in "iu" or (len(rows) and not 0 <= rows.min() <= rows.max() < len(names)):
        raise PlacewiseError(f"{source}: contains queries that do not exist; there are {len(names)}")
    return names[rows]


def _places(folder: Path, names: list[str], source: Path) -> Places:
    if not names:
        raise PlacewiseError(f"{source}: lists no image")
    root = folder_with(names[0], (folder, folder / "images", folder.parent), source)
    return listed_places(root, names, source)
