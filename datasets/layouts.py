"""Folders of the training, validation and test images of a data set."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from commons.errors import ArgumentError, did_you_mean
from datasets.readers import READERS
from datasets.readers.reader import ALL, Choice, TestFolders

Queries = str | Sequence[str] | None


def train_folder(dataset_folder: str | None, train_set_folder: str | None) -> Path:
    """Returns the folder of training images: `train_set_folder`, or train/ in `dataset_folder` or its images/.

    Raises:
        ArgumentError: if there is no such folder, or neither is given.
    """
    if train_set_folder is not None:
        return _existing(train_set_folder, "train_set_folder")
    if dataset_folder is None:
        raise ArgumentError(
            "dataset_folder", "no training images: give a folder that contains train/, or `train_set_folder`"
        )
    folder = _part(dataset_folder, "train")
    if folder is None:
        missing = Path(dataset_folder) / "train"
        raise ArgumentError("dataset_folder", f"{dataset_folder}: there is no {missing}; give `train_set_folder`")
    return folder


def find_sets(
    folder: str | Path, choice: Choice, layout: str | None = None, name: str | None = None
) -> list[TestFolders]:
    """Finds the test sets in a folder.

    Args:
        folder: folder of one of the layouts, or with images/ or images/test/ inside.
        choice: which of its sets.
        layout: one of READERS; None to choose by what lies in the folder.
        name: name for reports; by default the last two parts of the path, e.g. "sf_xs/test".

    Raises:
        ArgumentError: if there is no such folder or layout, nothing to read in it, or several queries folders of which
            none was chosen.
    """
    folder = _existing(folder, choice.argument)
    name = name or "/".join(folder.resolve().parts[-2:])
    if layout is not None:
        if layout not in READERS:
            raise ArgumentError("layout", f"{layout}: choose {', '.join(READERS)}{did_you_mean(layout, READERS)}")
        return READERS[layout].find(folder, name, choice)
    for place in (folder, folder / "images", folder / "images" / "test"):
        for reader in READERS.values() if place.is_dir() else ():
            if reader.recognises(place):
                return reader.find(place, name, choice)
    return READERS["folders"].find(folder, name, choice)  # says what is missing


def test_folders(
    folder: str | Path,
    queries_folder: str | None = None,
    name: str | None = None,
    argument: str = "test_set_folder",
    layout: str | None = None,
) -> TestFolders:
    """Returns the only test set of a folder, as `find_sets` does.

    Args:
        folder: the folder.
        queries_folder: which queries, where there are several; a single folder needs no choice.
        name: name for reports.
        argument: which argument gave the folder, for messages.
        layout: one of READERS; None to choose by what lies in the folder.

    Raises:
        ArgumentError: as `find_sets`, or if there are several sets.
    """
    sets = find_sets(folder, Choice(_names(queries_folder), None, argument), layout, name)
    if len(sets) > 1:
        raise ArgumentError(argument, f"{folder} has several sets, {', '.join(one.name for one in sets)}: choose one")
    return sets[0]


test_folders.__test__ = False


def _names(queries_folder: Queries) -> tuple[str, ...]:
    return (queries_folder,) if isinstance(queries_folder, str) else tuple(queries_folder or ())


def _existing(folder: str | Path, argument: str) -> Path:
    if not Path(folder).is_dir():
        raise ArgumentError(argument, f"{folder}: there is no such folder")
    return Path(folder)


def _part(dataset_folder: str | Path, part: str) -> Path | None:
    """Returns train/, val/ or test/ of a data set, which may lie in its images/; None if there is none."""
    places = (Path(dataset_folder) / part, Path(dataset_folder) / "images" / part)
    return next((place for place in places if place.is_dir()), None)


def validation_folders(
    dataset_folder: str | None,
    val_set_folder: str | None,
    queries_folder: str | None = None,
    layout: str | None = None,
) -> TestFolders:
    """Returns the validation set: `val_set_folder`, or val/ in `dataset_folder` or its images/.

    Raises:
        ArgumentError: if there is none, and as `test_folders`.
    """
    if val_set_folder is not None:
        return test_folders(val_set_folder, queries_folder, argument="val_set_folder", layout=layout)
    folder = _part(dataset_folder, "val") if dataset_folder else None
    if folder is None:
        where = f"{dataset_folder} has no val/" if dataset_folder else "no `dataset_folder` with val/ is given"
        raise ArgumentError("val_set_folder", f"there is no validation set: {where}; give it")
    return test_folders(folder, queries_folder, f"{_set_name(dataset_folder)}/val", "dataset_folder", layout)


def test_sets_of(
    dataset_folder: str | None,
    test_set_folder: str | None,
    queries_folder: str | None = None,
    layout: str | None = None,
) -> list[TestFolders]:
    """Returns the test sets of a training: `test_set_folder`, or test/ of `dataset_folder`; none without either."""
    choice = Choice(_names(queries_folder))
    if test_set_folder is not None:
        return find_sets(test_set_folder, choice, layout)
    folder = _part(dataset_folder, "test") if dataset_folder else None
    return find_sets(folder, choice, layout, f"{_set_name(dataset_folder)}/test") if folder else []


test_sets_of.__test__ = False


def evaluation_folders(
    dataset_folders: Sequence[str],
    val_set_folder: str | None,
    test_set_folders: Sequence[str],
    queries_folder: Queries,
    layout: str | None = None,
    protocol: str | None = None,
) -> list[TestFolders]:
    """Returns every set to evaluate: val and test of each data set, then the folders named one by one.

    A data set folder may also have a layout of its own, such as `database` and `queries`, as one's own photos do.

    Raises:
        ArgumentError: if a folder holds nothing to evaluate, and as `find_sets` and `check_sets`.
    """
    choice = Choice(_names(queries_folder), protocol)
    sets = []
    if val_set_folder is not None:
        sets += find_sets(val_set_folder, replace(choice, argument="val_set_folder"), layout)
    for folder in dataset_folders:
        parts = [part for part, given in (("val", val_set_folder), ("test", test_set_folders)) if not given]
        sets += _sets_of(folder, parts, replace(choice, argument="dataset_folder"), layout)
    for folder in test_set_folders:
        sets += find_sets(folder, choice, layout)
    if protocol is not None and not any(own.part for own in sets):
        raise ArgumentError("protocol", f"{protocol}: none of the layouts has protocols; see docs/data.md")
    return check_sets(sets, queries_folder)


def _sets_of(folder: str, parts: Sequence[str], choice: Choice, layout: str | None) -> list[TestFolders]:
    """Returns the sets of a data set's folder: its own, or those of its val/ and test/."""
    root, folders = _existing(folder, choice.argument), READERS["folders"]
    there = [place for part in parts if (place := _part(root, part))]
    own = [place for place in (root, root / "images") if place.is_dir()]
    plain = any(map(folders.recognises, own)) or (root / "database").is_dir()
    other = layout is not None or any(reader.recognises(place) for place in own for reader in READERS.values())
    if plain or (other and not any(map(folders.recognises, there))):
        return find_sets(root, choice, layout, _set_name(folder))
    sets = []
    for part in parts:
        if place := _part(root, part):
            sets += find_sets(place, choice, layout, f"{_set_name(folder)}/{part}")
    if not any(_part(root, part) for part in ("val", "test")):
        raise ArgumentError(
            choice.argument, f"{folder}: has neither val/, test/ or database/ nor another known layout (docs/data.md)"
        )
    return sets


def free_folders(database_folder: str, queries_folder: Queries) -> list[TestFolders]:
    """Returns a set for each of some queries folders, which lie anywhere, with one database.

    Raises:
        ArgumentError: if a folder is missing.
    """
    if not _names(queries_folder):
        raise ArgumentError("database_folder", "needs `queries_folder`, one or more folders")
    database = _existing(database_folder, "database_folder")
    sets = []
    for queries in _names(queries_folder):
        folder = _existing(queries, "queries_folder")
        sets.append(TestFolders("/".join(folder.resolve().parts[-2:]), database, folder, folder=folder))
    return tell_apart(sets)


def check_sets(sets: Sequence[TestFolders], queries_folder: Queries) -> list[TestFolders]:
    """Returns the sets of one run, with names that tell them apart.

    Raises:
        ArgumentError: if no set has one of the queries asked for, and as `tell_apart`.
    """
    for wanted in _names(queries_folder):
        if wanted != ALL and all(test.queries.name != Path(wanted).name for test in sets):
            there = ", ".join(sorted({test.queries.name for test in sets}))
            raise ArgumentError("queries_folder", f"{wanted}: no set has this folder, they have {there}")
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
            first = sets[clashing[0]].home
            raise ArgumentError(
                "dataset_folder",
                f"two sets are named {names[clashing[0]]}, both in {first}: give each set once, here or as "
                "`test_set_folder`, or evaluate them one by one",
            )
        for number, test in zip(clashing, longer, strict=True):
            sets[number] = test
    return sets


def _folder_name(test: TestFolders) -> str:
    return slug(test.name).casefold()


def _with_longer_name(test: TestFolders) -> TestFolders:
    """Returns a set with one more part of its path in its name; the same where its name is the whole path."""
    name, bracket, queries = test.name.partition(" (")
    for folder in (test.home.resolve(), test.home.absolute()):
        parts = len(Path(name).parts)
        if "/".join(folder.parts[-parts:]) == name and len(folder.parts) > parts + 1:  # the first part is the root
            return replace(test, name="/".join(folder.parts[-parts - 1 :]) + bracket + queries)
    return test


def slug(name: str) -> str:
    """Returns a test set's name as the name of a file."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def _set_name(folder: str) -> str:
    return Path(folder).resolve().name
