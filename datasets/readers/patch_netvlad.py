"""Patch-NetVLAD (https://arxiv.org/abs/2103.01486): positions as .npz, beside two lists of names.

pitts30k_test.npz                   utmDb and utmQ, (n, 2), and posDistThr; or in dataset_gt_files/
pitts30k_imageNames_index.txt       names of the database images; or in dataset_imageNames/
pitts30k_imageNames_query.txt       names of the queries
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from commons.errors import ArgumentError, PlacewiseError
from datasets.places import Places, make_places
from datasets.readers.arrays import names_in_npz, read_npz
from datasets.readers.reader import Choice, Reader, TestFolders, check_there, file_of, folder_with, sets_of
from datasets.test_dataset import TestSet

FIELDS = {"utmQ", "utmDb"}
INDEX, QUERY = "_index.txt", "_query.txt"


class PatchNetVlad(Reader):
    """A set for each .npz that has lists; `protocol` names one of several."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there are positions of a database and of queries."""
        return bool(_truths(folder))

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns a set for each .npz."""
        truths = _truths(folder)
        if not truths:
            raise ArgumentError(choice.argument, f"{folder}: there is no .npz with utmDb and utmQ in it")
        if choice.protocol is not None:
            truths = [file_of(choice.protocol, truths, "patch_netvlad")]
        return sets_of(truths, folder, name, "patch_netvlad")

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads positions, names, and the threshold, where the file has one."""
        home, truth = folders.home, folders.home / folders.part
        arrays = read_npz(truth)
        places = [
            _places(home, listing, arrays[field], truth)
            for listing, field in zip(_listings(home, truth), ("utmDb", "utmQ"), strict=True)
        ]
        threshold = arrays.get("posDistThr")
        threshold = None if threshold is None else float(np.asarray(threshold).reshape(-1)[0])
        return TestSet(
            folders.name, *places, labelled, layout="patch_netvlad", protocol=truth.stem, threshold=threshold
        )


def _truths(folder: Path) -> list[Path]:
    files = [path for place in (folder, folder / "dataset_gt_files") for path in sorted(place.glob("*.npz"))]
    return [path for path in files if names_in_npz(path) >= FIELDS]


def _listings(folder: Path, truth: Path) -> tuple[Path, Path]:
    """Returns the lists that belong to a .npz: those whose names have the longest beginning in common with its."""
    places = (folder, folder / "dataset_imageNames", folder / "dataset_imagenames")
    found = [path for place in places for path in sorted(place.glob(f"*{INDEX}"))]
    pairs = [(path, path.with_name(path.name.removesuffix(INDEX) + QUERY)) for path in found]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    own = [pair for pair in pairs if truth.stem.startswith(_data_set(pair[0]))] or pairs[:1] * (len(pairs) == 1)
    if not own:
        raise PlacewiseError(
            f"{truth}: there are no lists of names for it, such as {truth.stem.partition('_')[0]}_imageNames{INDEX} "
            f"and ...{QUERY}"
        )
    return max(own, key=lambda pair: len(_data_set(pair[0])))


def _data_set(listing: Path) -> str:
    return listing.name.removesuffix(INDEX).removesuffix("_imageNames").removesuffix("_imagenames")


def _places(folder: Path, listing: Path, utm: np.ndarray, truth: Path) -> Places:
    lines = listing.read_text(encoding="utf-8-sig").splitlines()
    names = [line.strip().replace("\\", "/").lstrip("/") for line in lines if line.strip()]
    if utm.ndim != 2 or utm.shape[1] != 2 or utm.dtype.kind not in "fiu":
        raise PlacewiseError(f"{truth}: its positions do not have the shape (n, 2)")
    if len(names) != len(utm) or not names:
        raise PlacewiseError(f"{listing}: lists {len(names)} images, but {truth.name} has {len(utm)} positions")
    root = folder_with(names[0], (folder, folder / "images", folder.parent), listing)
    check_there(root, names, listing)
    return make_places(root, pa.array(names, pa.string()), utm[:, 0], utm[:, 1])
