"""Folders of the training, validation and test images of a data set."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from commons.errors import ArgumentError


@dataclass(frozen=True)
class TestFolders:
    """A database folder and a queries folder, and the name under which results are reported."""

    __test__ = False

    name: str
    database: Path
    queries: Path


def train_folder(dataset_folder: str | None, train_set_folder: str | None) -> Path:
    """Returns the folder of training images: `train_set_folder`, or `dataset_folder`/train.

    Raises:
        ArgumentError: if there is no such folder, or neither is given.
    """
    if train_set_folder is not None:
        return _existing(train_set_folder, "train_set_folder")
    if dataset_folder is None:
        raise ArgumentError("dataset_folder", "no training images: give it, with train/ inside, or `train_set_folder`")
    folder = Path(dataset_folder) / "train"
    if not folder.is_dir():
        raise ArgumentError("dataset_folder", f"{dataset_folder}: there is no {folder}; give `train_set_folder`")
    return folder


def test_folders(
    folder: str | Path, queries_folder: str | None = None, name: str | None = None, argument: str = "test_set_folder"
) -> TestFolders:
    """Finds `database` and the queries inside a validation or test folder.

    Args:
        folder: a folder with `database` and one or more of `queries`, `queries_v1`, `queries_night`, ...
        queries_folder: which queries, where there are several; a single folder needs no choice.
        name: name for reports; by default the last two parts of the path, e.g. "sf_xs/test".
        argument: which argument gave the folder, for messages.

    Raises:
        ArgumentError: if there is no such folder, no database or no queries in it, or there are several queries folders
            and none was chosen.
    """
    folder = _existing(folder, argument)
    database = folder / "database"
    if not database.is_dir():
        raise ArgumentError(argument, f"{folder}: there is no folder named database in it")
    name = name or "/".join(folder.resolve().parts[-2:])
    choices = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name.startswith("queries"))
    if queries_folder is not None and (folder / queries_folder).is_dir():
        suffix = f" ({queries_folder})" if choices != [queries_folder] else ""
        return TestFolders(name + suffix, database, folder / queries_folder)
    if queries_folder is not None and len(choices) != 1:
        raise ArgumentError(
            "queries_folder", f"{queries_folder}: not in {folder}, which has {', '.join(choices) or 'none'}"
        )
    if not choices:
        raise ArgumentError("queries_folder", f"{folder}: there is no queries folder in it; name one")
    if len(choices) > 1:
        raise ArgumentError("queries_folder", f"{folder} has several: choose {' or '.join(choices)}")
    return TestFolders(name, database, folder / choices[0])


def _existing(folder: str | Path, argument: str) -> Path:
    if not Path(folder).is_dir():
        raise ArgumentError(argument, f"{folder}: there is no such folder")
    return Path(folder)


def validation_folders(
    dataset_folder: str | None, val_set_folder: str | None, queries_folder: str | None = None
) -> TestFolders:
    """Returns the validation set: `val_set_folder`, or `dataset_folder`/val.

    Raises:
        ArgumentError: if there is none, and as `test_folders`.
    """
    if val_set_folder is not None:
        return test_folders(val_set_folder, queries_folder, argument="val_set_folder")
    if dataset_folder is None or not (Path(dataset_folder) / "val").is_dir():
        where = f"{dataset_folder} has no val/" if dataset_folder else "no `dataset_folder` with val/ is given"
        raise ArgumentError("val_set_folder", f"there is no validation set: {where}; give it")
    name = f"{_set_name(dataset_folder)}/val"
    return test_folders(Path(dataset_folder) / "val", queries_folder, name, "dataset_folder")


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
        ArgumentError: if a folder holds nothing to evaluate, and as `test_folders` and `check_sets`.
    """
    sets = []
    if val_set_folder is not None:
        sets.append(test_folders(val_set_folder, queries_folder, argument="val_set_folder"))
    for folder in dataset_folders:
        _existing(folder, "dataset_folder")
        if (Path(folder) / "database").is_dir():
            sets.append(test_folders(folder, queries_folder, _set_name(folder), "dataset_folder"))
            continue
        parts = [part for part, given in (("val", val_set_folder), ("test", test_set_folders)) if not given]
        for part in parts:
            if (Path(folder) / part).is_dir():
                name = f"{_set_name(folder)}/{part}"
                sets.append(test_folders(Path(folder) / part, queries_folder, name, "dataset_folder"))
        if not any((Path(folder) / part).is_dir() for part in ("val", "test")):
            raise ArgumentError("dataset_folder", f"{folder}: there is no val/, test/ or database/ in it")
    sets += [test_folders(folder, queries_folder) for folder in test_set_folders]
    return check_sets(sets, queries_folder)


def check_sets(sets: Sequence[TestFolders], queries_folder: str | None) -> list[TestFolders]:
    """Returns the sets of one run, with names that tell them apart.

    Raises:
        ArgumentError: if no set has the queries asked for, and as `tell_apart`.
    """
    if queries_folder is not None and all(test.queries.name != Path(queries_folder).name for test in sets):
        there = ", ".join(sorted({test.queries.name for test in sets}))
        raise ArgumentError("queries_folder", f"{queries_folder}: no set has it, they have {there}")
    return tell_apart(sets)


def tell_apart(sets: Sequence[TestFolders]) -> list[TestFolders]:
    """Returns the sets with names of which no two are one name or one folder of results.

    Of sets that share a name, each gets as many more parts of its path as tell it from the others: two sets
    "images/test" become "pitts30k/images/test" and "msls/images/test". Other names stay.

    Raises:
        ArgumentError: if two sets are the same folder.
    """
    sets, names = list(sets), [test.name for test in sets]
    while clashing := [
        number
        for number, one in enumerate(sets)
        if any(_folder_name(one) == _folder_name(other) for other in sets if other is not one)
    ]:
        longer = [_with_longer_name(sets[number]) for number in clashing]
        if longer == [sets[number] for number in clashing]:
            first = sets[clashing[0]].database.parent
            raise ArgumentError(
                "dataset_folder",
                f"two sets are named {names[clashing[0]]}, both in {first}: give each set once, here or as "
                "`test_set_folder`, or measure them one by one",
            )
        for number, test in zip(clashing, longer, strict=True):
            sets[number] = test
    return sets


def _folder_name(test: TestFolders) -> str:
    return slug(test.name).casefold()


def _with_longer_name(test: TestFolders) -> TestFolders:
    """Returns a set with one more part of its path in its name; the same where its name is the whole path."""
    name, bracket, queries = test.name.partition(" (")
    for folder in (test.database.parent.resolve(), test.database.parent.absolute()):
        parts = len(Path(name).parts)
        if "/".join(folder.parts[-parts:]) == name and len(folder.parts) > parts + 1:  # the first part is the root
            return replace(test, name="/".join(folder.parts[-parts - 1 :]) + bracket + queries)
    return test


def slug(name: str) -> str:
    """Returns a test set's name as the name of a file."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def _set_name(folder: str) -> str:
    return Path(folder).resolve().name
