"""Where the training, validation and test images of a data set lie."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from commons.errors import UsageError


@dataclass(frozen=True)
class TestFolders:
    """A database folder and a queries folder, and the name under which results are reported."""

    __test__ = False

    name: str
    database: Path
    queries: Path


def train_folder(dataset_folder: str | None, train_set_folder: str | None) -> Path:
    """Returns the folder of training images: `train_set_folder`, or `dataset_folder`/train."""
    if train_set_folder is not None:
        return _existing(Path(train_set_folder), "--train_set_folder")
    if dataset_folder is None:
        raise UsageError("no training images: give --dataset_folder (with train/ inside) or --train_set_folder")
    folder = Path(dataset_folder) / "train"
    if not folder.is_dir():
        raise UsageError(f"--dataset_folder {dataset_folder}: there is no {folder}; give --train_set_folder")
    return folder


def test_folders(folder: str | Path, queries_folder: str | None = None, name: str | None = None) -> TestFolders:
    """Finds `database` and the queries inside a validation or test folder.

    Args:
        folder: a folder with `database` and one or more of `queries`, `queries_v1`, `queries_night`, ...
        queries_folder: which queries, where there are several; a single folder needs no choice.
        name: name for reports; by default the last two parts of the path, e.g. "sf_xs/test".

    Raises:
        UsageError: if one of them is missing, or there are several queries folders and none was chosen.
    """
    folder = _existing(Path(folder), "test or validation set")
    database = folder / "database"
    if not database.is_dir():
        raise UsageError(f"{folder}: there is no folder named database in it")
    name = name or "/".join(folder.resolve().parts[-2:])
    choices = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name.startswith("queries"))
    if queries_folder is not None and (folder / queries_folder).is_dir():
        suffix = f" ({queries_folder})" if choices != [queries_folder] else ""
        return TestFolders(name + suffix, database, folder / queries_folder)
    if queries_folder is not None and len(choices) != 1:
        raise UsageError(
            f"--queries_folder {queries_folder}: not in {folder}, which has {', '.join(choices) or 'none'}"
        )
    if not choices:
        raise UsageError(f"{folder}: there is no queries folder in it; name one with --queries_folder")
    if len(choices) > 1:
        raise UsageError(f"{folder} has several queries folders: choose with --queries_folder {' or '.join(choices)}")
    return TestFolders(name, database, folder / choices[0])


def _existing(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{what} {folder}: there is no such folder")
    return folder


def validation_folders(
    dataset_folder: str | None, val_set_folder: str | None, queries_folder: str | None = None
) -> TestFolders:
    """Returns the validation set: `val_set_folder`, or `dataset_folder`/val."""
    if val_set_folder is not None:
        return test_folders(val_set_folder, queries_folder)
    if dataset_folder is None or not (Path(dataset_folder) / "val").is_dir():
        raise UsageError(
            f"no validation set: {dataset_folder or '--dataset_folder'} has no val/; give --val_set_folder"
        )
    return test_folders(Path(dataset_folder) / "val", queries_folder, name=f"{_set_name(dataset_folder)}/val")


def test_sets_of(
    dataset_folder: str | None, test_set_folder: str | None, queries_folder: str | None = None
) -> list[TestFolders]:
    """Returns the test set of a training: `test_set_folder`, or `dataset_folder`/test; none where there is neither."""
    if test_set_folder is not None:
        return [test_folders(test_set_folder, queries_folder)]
    if dataset_folder is None or not Path(dataset_folder, "test").is_dir():
        return []
    return [test_folders(Path(dataset_folder) / "test", queries_folder, f"{_set_name(dataset_folder)}/test")]


test_sets_of.__test__ = False


def evaluation_folders(
    dataset_folders: list[str], val_set_folder: str | None, test_set_folders: list[str], queries_folder: str | None
) -> list[TestFolders]:
    """Returns every set to evaluate: val and test of each data set, then the folders named one by one.

    A data set folder may also hold `database` and `queries` directly, as one's own photos do.

    Raises:
        UsageError: if a folder holds nothing to evaluate, or as `check_sets`.
    """
    sets = []
    if val_set_folder is not None:
        sets.append(test_folders(val_set_folder, queries_folder))
    for folder in dataset_folders:
        _existing(Path(folder), "--dataset_folder")
        if (Path(folder) / "database").is_dir():
            sets.append(test_folders(folder, queries_folder, _set_name(folder)))
            continue
        if val_set_folder is None and (Path(folder) / "val").is_dir():
            sets.append(test_folders(Path(folder) / "val", queries_folder, name=f"{_set_name(folder)}/val"))
        if not test_set_folders and (Path(folder) / "test").is_dir():
            sets.append(test_folders(Path(folder) / "test", queries_folder, f"{_set_name(folder)}/test"))
        if not any((Path(folder) / part).is_dir() for part in ("val", "test")):
            raise UsageError(f"--dataset_folder {folder}: there is no val/, test/ or database/ in it")
    sets += [test_folders(folder, queries_folder) for folder in test_set_folders]
    check_sets(sets, queries_folder)
    return sets


def check_sets(sets: Sequence[TestFolders], queries_folder: str | None) -> None:
    """Raises UsageError if results of two sets would replace each other, or no set has the queries asked for."""
    for first, second in combinations([test.name for test in sets], 2):
        if slug(first).casefold() == slug(second).casefold():
            raise UsageError(
                f"two sets are named {first} and {second}, which is one folder for their results: give them folders "
                "of different names, or measure them one by one"
            )
    if queries_folder is not None and all(test.queries.name != Path(queries_folder).name for test in sets):
        there = ", ".join(sorted({test.queries.name for test in sets}))
        raise UsageError(f"--queries_folder {queries_folder}: no set has it, they have {there}")


def slug(name: str) -> str:
    """Makes a file name of a test set's name."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def _set_name(folder: str) -> str:
    return Path(folder).resolve().name
