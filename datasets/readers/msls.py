"""Mapillary Street-Level Sequences (https://doi.org/10.1109/CVPR42600.2020.00270) as they are unpacked.

    train_val/<city>/{query,database}/images/<key>.jpg
    train_val/<city>/{query,database}/{raw,postprocessed,seq_info,subtask_index}.csv
    test/<city>/...                     raw.csv and postprocessed.csv may be missing: predict with --no_labels

Protocols: val are the 740 queries of Copenhagen and San Francisco that most papers report, val-all all images of these
cities, test those of the six test cities; val-s2w, test-d2n, ... the subtasks. Panoramas are left out. The queries of a
city are searched in its own database.

For sequences all images are read, and a protocol chooses the sequences by their middle frames, as in the authors' code.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from commons.errors import ArgumentError, PlacewiseError, first_line
from datasets.distances import nearest_in_space
from datasets.geodesy import to_utm
from datasets.places import Places, make_places
from datasets.readers.reader import Choice, Reader, TestFolders, check_there, one_of
from datasets.sequences import frames_from
from datasets.test_dataset import Groups, Middles, TestSet

CITIES = {
    "val": ("cph", "sf"),
    "test": ("miami", "athens", "buenosaires", "stockholm", "bengaluru", "kampala"),
}
FOLDERS = {"val": "train_val", "test": "test"}
SUBTASKS = ("s2w", "w2s", "o2n", "n2o", "d2n", "n2d")
PROTOCOLS = [f"{split}{task}" for split in CITIES for task in ("", "-all", *(f"-{name}" for name in SUBTASKS))]
THRESHOLD = 25.0  # of the queries that the protocol keeps


class CityPart(NamedTuple):
    """The images of a city's queries or database that a protocol keeps.

    Attributes:
        names: relative to the folder of the data set.
        utm: easting and northing, (n, 2); None where the files are missing.
        degrees: latitude and longitude, (n, 2); None where the files are missing.
        heading: degrees, (n,).
        timestamp: text.
        sequence: keys of the sequences with the city before them; None where the file does not say.
        frame: number of the frame, (n,).
        middle: whether the protocol chooses the image, bool (n,); images that it does not choose are sequences' other
            frames.
    """

    names: list[str]
    utm: np.ndarray | None
    degrees: np.ndarray | None
    heading: np.ndarray
    timestamp: list[str]
    sequence: list[str] | None
    frame: np.ndarray
    middle: np.ndarray


class Msls(Reader):
    """`protocol` is val, val-all, test, test-all or one of the subtasks."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether there are cities with the lists of subtasks."""
        return any(_has_cities(folder, split) for split in CITIES)

    @staticmethod
    def find(folder: Path, name: str, choice: Choice) -> list[TestFolders]:
        """Returns the set of the protocol."""
        usual = "val" if _has_cities(folder, "val") or not _has_cities(folder, "test") else "test"
        protocol = one_of(choice.protocol, PROTOCOLS, "msls", usual)
        split = protocol.partition("-")[0]
        if not _cities(folder, split):
            raise ArgumentError(
                choice.argument,
                f"{folder}: contains none of the cities {', '.join(CITIES[split])} in {FOLDERS[split]}/, which "
                f"protocol {protocol} needs",
            )
        return [TestFolders(f"{name} ({protocol})", folder, folder, "msls", protocol, folder)]

    @staticmethod
    def read(folders: TestFolders, labelled: bool, database: Places | None = None) -> TestSet:
        """Reads the images of the protocol."""
        home, protocol = folders.home, folders.part
        split, _, task = protocol.partition("-")
        cities = _cities(home, split)
        subtask = {"": "all", "all": None}.get(task, task)
        tables, groups, middles = [], [], []
        for part in ("database", "query"):
            parts = [_read_part(home, FOLDERS[split], city, part, subtask, folders.sequences) for city in cities]
            tables.append(_joined(home, parts, labelled))
            groups.append(np.repeat(np.arange(len(cities)), [len(own.names) for own in parts]))
            middles.append(np.concatenate([own.middle for own in parts]))
        test_set = TestSet(folders.name, *tables, labelled, groups=Groups(*groups, tuple(cities)), layout="msls")
        answerable = labelled and task != "all"
        if folders.sequences:
            test_set = replace(test_set, middles=Middles(*middles, THRESHOLD if answerable else None))
        elif answerable:
            test_set = _answerable(test_set)
        check_there(home, test_set.database.names.to_pylist(), home)
        check_there(home, test_set.queries.names.to_pylist(), home)
        test_set.check_groups()
        kept = "queries without a positive kept" if task == "all" or not labelled else "queries with a positive"
        text = f"{protocol}: {', '.join(cities)}, {kept}, panoramas left out, each city searched on its own"
        return test_set.with_protocol(text)


def _has_cities(folder: Path, split: str) -> bool:
    return any((folder / FOLDERS[split]).glob("*/database/subtask_index.csv"))


def _cities(folder: Path, split: str) -> list[str]:
    return [city for city in CITIES[split] if (folder / FOLDERS[split] / city / "database").is_dir()]


def _read_part(home: Path, split: str, city: str, part: str, subtask: str | None, whole: bool) -> CityPart:
    """Reads a part of a city; `whole` keeps the images that the subtask does not choose."""
    folder = home / split / city / part
    sequence, tasks = _read(folder / "seq_info.csv", ("key",)), None
    if subtask is not None:
        tasks = _read(folder / "subtask_index.csv", (subtask,), len(sequence))
    raw, post = (folder / f"{name}.csv" for name in ("raw", "postprocessed"))
    raw = _read(raw, ("lon", "lat", "pano"), len(sequence)) if raw.is_file() else None
    post = _read(post, ("easting", "northing"), len(sequence)) if post.is_file() else None
    chosen = np.ones(len(sequence), bool) if tasks is None else _flags(tasks[subtask])
    flat = np.ones(len(sequence), bool) if raw is None else ~_flags(raw["pano"])
    rows = np.flatnonzero(flat if whole else flat & chosen)
    ordered = {"sequence_key", "frame_number"} <= set(sequence.column_names)
    keys = sequence["key"].cast(pa.string()).take(pa.array(rows)).to_pylist()
    return CityPart(
        [f"{split}/{city}/{part}/images/{key}.jpg" for key in keys],
        _columns(post, ("easting", "northing"), rows),
        _columns(raw, ("lat", "lon"), rows),
        _numbers(raw["ca"])[rows] if raw is not None and "ca" in raw.column_names else np.full(len(rows), np.nan),
        _texts(raw, "captured_at", rows),
        [f"{city}/{key}" if key else "" for key in _texts(sequence, "sequence_key", rows)] if ordered else None,
        _numbers(sequence["frame_number"])[rows] if ordered else np.full(len(rows), np.nan),
        chosen[rows],
    )


def _read(path: Path, columns: Sequence[str], rows: int | None = None) -> pa.Table:
    """Reads a table; `rows` is how many it must have."""
    try:
        table = pa.csv.read_csv(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise PlacewiseError(f"{path}: cannot be read ({first_line(error)})") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise PlacewiseError(f"{path}: has no column {missing[0]}, only {', '.join(filter(None, table.column_names))}")
    if rows is not None and len(table) != rows:
        raise PlacewiseError(f"{path}: has {len(table)} rows, but seq_info.csv has {rows}")
    return table


def _flags(column: pa.ChunkedArray) -> np.ndarray:
    """Returns True, 1 and "True" as true."""
    texts = pc.utf8_lower(column.cast(pa.string()).fill_null("false"))
    return pc.is_in(texts, pa.array(["true", "1", "1.0"])).to_numpy(zero_copy_only=False)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.float64()).fill_null(np.nan).to_numpy()


def _columns(table: pa.Table | None, names: Sequence[str], rows: np.ndarray) -> np.ndarray | None:
    return None if table is None else np.stack([_numbers(table[name])[rows] for name in names], axis=1)


def _texts(table: pa.Table | None, name: str, rows: np.ndarray) -> list[str]:
    if table is None or name not in table.column_names:
        return [""] * len(rows)
    return table[name].cast(pa.string()).fill_null("").take(pa.array(rows)).to_pylist()


def _joined(home: Path, parts: Sequence[CityPart], labelled: bool) -> Places:
    """Returns the images of several cities as one table. A city's UTM coordinates lie in the zone of its centre."""
    located = all(part.utm is not None and part.degrees is not None for part in parts)
    if labelled and not located:
        part = next(part for part in parts if part.utm is None or part.degrees is None)
        where = Path(part.names[0]).parents[1] if part.names else FOLDERS["test"]
        raise PlacewiseError(f"{home / where}: has no raw.csv and postprocessed.csv: predict with `no_labels`")
    columns = {}
    if located:
        zones = [_zone(part.degrees) for part in parts]
        counts = [len(part.names) for part in parts]
        utm, degrees = (np.concatenate([getattr(part, name) for part in parts]) for name in ("utm", "degrees"))
        columns = dict(utm_east=utm[:, 0], utm_north=utm[:, 1], utm_zone=np.repeat(zones, counts))
        columns |= dict(latitude=degrees[:, 0], longitude=degrees[:, 1])
    frames = None
    if all(part.sequence is not None for part in parts):
        sequences = pa.array([text for part in parts for text in part.sequence], pa.string())
        frames = frames_from(sequences, np.concatenate([part.frame for part in parts]), home)
    return make_places(
        home,
        pa.array([name for part in parts for name in part.names], pa.string()),
        frames=frames,
        heading=np.concatenate([part.heading for part in parts]),
        timestamp=pa.array([text for part in parts for text in part.timestamp], pa.string()),
        **columns,
    )


def _zone(degrees: np.ndarray) -> int:
    """Returns the UTM zone of the centre of some places, (n, 2); 0 where there is none."""
    if not np.isfinite(degrees).all(axis=1).any():
        return 0
    return int(to_utm(*np.nanmean(degrees, axis=0, keepdims=True).T)[2][0])


def _answerable(test_set: TestSet) -> TestSet:
    """Leaves out the queries without a database image of their city within 25 m, as the authors' code does."""
    kept = []
    for database, queries in test_set.groups.members():
        if len(database) and len(queries):
            metres, _ = nearest_in_space(test_set.queries.take(queries), test_set.database.take(database))
            kept.append(queries[metres[:, 0] <= THRESHOLD])
    return test_set.with_queries(np.concatenate([np.empty(0, np.int64), *kept]))
