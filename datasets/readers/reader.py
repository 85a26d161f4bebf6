"""What a reader of a layout is, and what several readers share."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from commons.errors import ArgumentError, PlacewiseError
from commons.threads import in_threads
from datasets.listing import find_images
from datasets.places import Places, make_places

LOOKERS = 16
ALL = "all"


@dataclass(frozen=True)
class TestFolders:
    """Where a test set lies, and the name under which results are reported.

    Attributes:
        name: name of the set.
        database, queries: folders of the images.
        layout: one of READERS.
        part: which of the sets in the folder: a protocol, or the name of the files with the lists.
        folder: folder that was named; None for the one above `database`.
        sequences: whether to read all images of the sequences, where a protocol chooses single images.
    """

    __test__ = False

    name: str
    database: Path
    queries: Path
    layout: str = "folders"
    part: str = ""
    folder: Path | None = None
    sequences: bool = False

    @property
    def home(self) -> Path:
        """The folder that the set is named after."""
        return self.folder or self.database.parent


@dataclass(frozen=True)
class Choice:
    """Which of the sets in a folder to read.

    Attributes:
        queries: names of folders with queries, or "all"; empty where nothing is chosen.
        protocol: one of the layout's; None for its usual one.
        argument: which argument gave the folder, for messages.
    """

    queries: tuple[str, ...] = ()
    protocol: str | None = None
    argument: str = "test_set_folder"


class Reader(ABC):
    """Reads test sets of one layout."""

    @staticmethod
    @abstractmethod
    def recognises(folder: Path) -> bool:
        """Whether a folder has this layout; looks at names of files and folders only."""

    @staticmethod
    @abstractmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns the test sets in a folder.

        Args:
            folder: folder of this layout.
            name: name of the folder, for reports.
            choice: which of the sets.

        Raises:
            ArgumentError: if something is missing, or the choice cannot be made.
        """

    @staticmethod
    @abstractmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> object:
        """Returns a `datasets.test_dataset.TestSet`.

        Args:
            folders: one of those found.
            labelled: False where positions may be missing.
            database: database of a set before that has the same one.

        Raises:
            PlacewiseError: if files are damaged or do not belong together.
        """


def one_of(protocol: str | None, choices: Iterable[str], layout: str, default: str) -> str:
    """Returns the protocol to follow.

    Raises:
        ArgumentError: if the layout has no such protocol.
    """
    choices = list(choices)
    if protocol is None:
        return default
    if protocol not in choices:
        raise ArgumentError("protocol", f"{protocol}: sets of the layout {layout} have {', '.join(choices)}")
    return protocol


def file_of(protocol: str, files: Sequence[Path], layout: str) -> Path:
    """Returns the file that a protocol is named after.

    Raises:
        ArgumentError: if there is none.
    """
    stems = [file.stem for file in files]
    return files[stems.index(one_of(protocol, stems, layout, ""))]


def sets_of(files: Sequence[Path], folder: Path, name: str, layout: str) -> list[TestFolders]:
    """Returns a set for each file in a folder, named after its file where there are several."""
    sets = []
    for file in files:
        suffix = f" ({file.stem})" if len(files) > 1 else ""
        sets.append(TestFolders(name + suffix, folder, folder, layout, file.relative_to(folder).as_posix(), folder))
    return sets


def listed_places(folder: Path, names: Sequence[str], source: Path) -> Places:
    """Returns a table of images without positions whose names stand in a list.

    Raises:
        PlacewiseError: if an image is not there.
    """
    check_there(folder, names, source)
    return make_places(folder, pa.array(names, pa.string()))


def check_there(folder: Path, names: Sequence[str], source: Path) -> None:
    """Raises PlacewiseError if images of a list are not in a folder, or there are none."""
    if not len(names):
        raise PlacewiseError(f"{source}: lists no image")
    there = in_threads(lambda name: os.path.isfile(os.path.join(folder, name)), names, LOOKERS)
    missing = [name for name, found in zip(names, there, strict=True) if not found]
    if missing:
        raise PlacewiseError(
            f"{source}: lists {missing[0]}, which is not in {folder} ({len(missing)} of {len(names)} images)"
        )


def folder_with(name: str, folders: Iterable[Path], source: Path, argument: str = "test_set_folder") -> Path:
    """Returns the first of some folders that has the first image of a list.

    Raises:
        ArgumentError: if none has.
    """
    folders = list(folders)
    for folder in folders:
        if (folder / name).is_file():
            return folder
    looked = ", ".join(dict.fromkeys(str(folder) for folder in folders[:3]))
    raise ArgumentError(argument, f"{source} lists {name}, which is not in {looked}: put the images there")


def folders_below(folder: Path, levels: int = 2) -> list[Path]:
    """Returns a folder and those below it, nearest first, that are not hidden."""
    found = level = [folder]
    for _ in range(levels):
        level = [
            entry
            for above in level
            for entry in sorted(above.iterdir())
            if entry.is_dir() and not entry.name.startswith(".")
        ]
        found = found + level
    return found


def numbered_images(folder: Path) -> list[str]:
    """Returns the images of a folder in the order of the numbers in their names: 2.jpg comes before 10.jpg.

    Raises:
        PlacewiseError: if there is none.
    """
    names = find_images(folder).names
    if not names:
        raise PlacewiseError(f"{folder}: contains no image")
    return sorted(names, key=_by_numbers)


def _by_numbers(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part) for part in parts]
