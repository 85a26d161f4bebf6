"""The .mat files of NetVLAD (https://arxiv.org/abs/1511.07247): Pitts30k, Pitts250k, Tokyo 24/7.

pitts30k_test.mat     or in datasets/; dbStruct with dbImageFns, utmDb, qImageFns, utmQ, posDistThr
000/000000_pitch1_yaw1.jpg ...                Pittsburgh's database
queries_real/000/000000_pitch1_yaw1.jpg ...   its queries
03814/381471....png, 247query_subset_v2/00001.jpg    Tokyo's; its list names .jpg where files are .png
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.io import loadmat

from commons.errors import ArgumentError, PlacewiseError, first_line
from datasets.places import Places, make_places
from datasets.readers.arrays import texts
from datasets.readers.reader import Choice, Reader, TestFolders, check_there, file_of, folders_below, sets_of
from datasets.test_dataset import TestSet

FIELDS = ("dbImageFns", "utmDb", "qImageFns", "utmQ")
EXTENSIONS = (".png", ".jpg", ".jpeg")


class DbStruct(Reader):
    """A set for each .mat file but those of training sets; `protocol` names one, such as pitts30k_test."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there is a .mat file."""
        return bool(_files(folder))

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns a set for each file."""
        files = _files(folder)
        if not files:
            raise ArgumentError(choice.argument, f"{folder}: there is no .mat file in it")
        if choice.protocol is not None:
            files = [file_of(choice.protocol, files, "dbstruct")]
        else:
            files = [file for file in files if not file.stem.endswith("_train")] or files
        return sets_of(files, folder, name, "dbstruct")

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads names, positions and the threshold."""
        source = folders.home / folders.part
        fields = read_struct(source)
        tables = [
            _places(list(roots), fields[names], fields[utm], source)
            for roots, names, utm in (
                (_database_folders(folders.home), "dbImageFns", "utmDb"),
                (_query_folders(folders.home), "qImageFns", "utmQ"),
            )
        ]
        threshold = float(fields["posDistThr"].reshape(-1)[0]) if fields.get("posDistThr") is not None else None
        return TestSet(folders.name, *tables, labelled, layout="dbstruct", protocol=source.stem, threshold=threshold)


def read_struct(source: Path) -> dict[str, np.ndarray]:
    """Returns the fields of the dbStruct in a .mat file.

    Raises:
        PlacewiseError: if the file cannot be read or lacks fields.
    """
    try:
        struct = loadmat(source).get("dbStruct")
    except Exception as error:  # damaged files raise errors of many types
        raise PlacewiseError(f"{source}: cannot be read as a .mat file ({first_line(error)})") from error
    own = {} if struct is None or struct.dtype.names is None else {name: struct[name] for name in struct.dtype.names}
    own = {name: value.flat[0] if value.size else value for name, value in own.items()}
    missing = [name for name in FIELDS if name not in own]
    if missing:
        raise PlacewiseError(f"{source}: has no dbStruct with {', '.join(missing)}")
    return own


def _files(folder: Path) -> list[Path]:
    return [file for place in (folder, folder / "datasets") for file in sorted(place.glob("[!.]*.mat"))]


def _database_folders(folder: Path) -> Iterator[Path]:
    """Returns where the database may lie: other folders than those of queries come first."""
    below = folders_below(folder, 1)
    yield from sorted(below, key=lambda path: "quer" in path.name.lower())


def _query_folders(folder: Path) -> Iterator[Path]:
    """Returns where the queries may lie: their names may be those of database images, so their folders come first."""
    below = folders_below(folder, 2)
    yield from sorted(below, key=lambda path: "quer" not in path.relative_to(folder).as_posix().lower())


def _places(roots: list[Path], names: np.ndarray, utm: np.ndarray, source: Path) -> Places:
    listed = texts([value.item() if isinstance(value, np.ndarray) else value for value in names.reshape(-1)], source)
    if utm.ndim != 2 or 2 not in utm.shape or utm.dtype.kind not in "fiu":
        raise PlacewiseError(f"{source}: its positions do not have the shape (2, n)")
    utm = (utm if utm.shape[0] == 2 else utm.T).astype(np.float64)
    if len(listed) != utm.shape[1] or not listed:
        raise PlacewiseError(f"{source}: lists {len(listed)} images but has {utm.shape[1]} positions")
    root, listed = _located(roots, listed, source)
    check_there(root, listed, source)
    return make_places(root, pa.array(listed, pa.string()), utm[0], utm[1])


def _located(roots: list[Path], names: list[str], source: Path) -> tuple[Path, list[str]]:
    """Returns the folder that has the images, and their names as they are there."""
    for root in roots:
        if (root / names[0]).is_file():
            return root, names
        for extension in EXTENSIONS:
            if (root / names[0]).with_suffix(extension).is_file():
                return root, [str(Path(name).with_suffix(extension).as_posix()) for name in names]
    raise PlacewiseError(f"{source}: lists {names[0]}, which is not in {source.parent} or a folder in it")
