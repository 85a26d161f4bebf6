"""Folders of geotagged images: `database` (SVOX: `gallery`) and one or more `queries*`.

    test/database/@0548000.00@4180000.00@10@S@...@.jpg
    test/queries/     or  queries_v1/, queries_night/, ...

Positions are those of `datasets.reading`.
"""

from pathlib import Path

from commons.errors import ArgumentError
from datasets.distances import check_comparable
from datasets.places import Places
from datasets.readers.reader import ALL, Choice, Reader, TestFolders
from datasets.reading import read_places
from datasets.test_dataset import TestSet

DATABASES = ("database", "gallery")


class Folders(Reader):
    """The layout of SF-XS, SF-XL, Tokyo-XS, SVOX, and of what VPR-datasets-downloader writes."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there are a database and queries."""
        return _database(folder) is not None and bool(_queries(folder))

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns a set for each of the queries folders that are chosen; a single one needs no choice."""
        database = _database(folder)
        if database is None:
            raise ArgumentError(choice.argument, f"{folder}: there is no folder named database in it")
        there = _queries(folder)
        sets = []
        for queries in _chosen(folder, there, choice.queries):
            suffix = f" ({queries})" if there != [queries] else ""
            sets.append(TestFolders(name + suffix, database, folder / queries))
        return sets

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads both tables and checks that their distances can be computed, before the network runs for hours."""
        if database is None:
            database = read_places(folders.database, labelled)
        queries = read_places(folders.queries, labelled)
        if labelled:
            check_comparable(database, queries)
        return TestSet(folders.name, database, queries, labelled)


def _database(folder: Path) -> Path | None:
    return next((folder / name for name in DATABASES if (folder / name).is_dir()), None)


def _queries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name.startswith("queries"))


def _chosen(folder: Path, there: list[str], wanted: tuple[str, ...]) -> list[str]:
    """Returns the queries folders to evaluate on, as they are chosen for all sets of a run."""
    if wanted == (ALL,) and there:
        return there
    found = [name for name in wanted if name != ALL and (folder / name).is_dir()]
    missing = [name for name in wanted if name not in found]
    if missing and len(there) != 1:
        have = ", ".join(there) or "none"
        raise ArgumentError("queries_folder", f"{missing[0]}: not in {folder}, which has {have}")
    if found:
        return list(dict.fromkeys(found))
    if not there:
        raise ArgumentError("queries_folder", f"{folder}: there is no queries folder in it; give its name")
    if len(there) > 1:
        raise ArgumentError("queries_folder", f"{folder} has several: choose {' or '.join(there)}, or {ALL}")
    return there
