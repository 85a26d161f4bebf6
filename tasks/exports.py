"""Descriptors and predictions in the formats of other programs: hloc, and the evaluation of MSLS."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from commons.errors import ArgumentError
from commons.files import atomic_path
from datasets.places import Places
from datasets.test_dataset import TestSet
from retrieval.table import BLOCK, DescriptorTable
from tasks.measuring import Evaluation

PAIRS = "pairs.txt"
MSLS = "msls_predictions.csv"


def check_h5py() -> None:
    """Raises ArgumentError if h5py is not installed."""
    try:
        import h5py  # noqa: F401
    except ImportError:
        raise ArgumentError("save_descriptors", "hloc needs the package h5py: pip install h5py") from None


def check_keys(test_sets: Sequence[TestSet]) -> None:
    """Warns where names of images are no keys of MSLS."""
    for test_set in test_sets:
        if test_set.layout != "msls":
            logging.warning(
                f"{test_set.name}: its layout is {test_set.layout}, not msls, so {MSLS} contains file names, which the "
                "evaluation of MSLS does not accept, instead of keys"
            )


def save_hloc(file: Path, tables: Sequence[tuple[DescriptorTable, Places]]) -> None:
    """Writes descriptors as hloc does: a group for each image with the dataset `global_descriptor`, float32 (d,).

    An image's name is its path below the folder that database and queries have in common, hloc's image folder.

    Args:
        file: file to write.
        tables: descriptors and the images that their rows count.

    Raises:
        ArgumentError: if h5py is not installed.
    """
    check_h5py()
    import h5py

    root = common_folder([places for _, places in tables])
    with atomic_path(file) as temporary, h5py.File(temporary, "w", libver="latest") as stored:
        stored.attrs["image_folder"] = str(root)
        for table, places in tables:
            rows = np.sort(table.rows)
            for start in range(0, len(table), BLOCK):
                block = table.descriptors(start, start + BLOCK)
                for row, vector in zip(rows[start : start + BLOCK].tolist(), block, strict=True):
                    name = _below(places, row, root)
                    if f"{name}/global_descriptor" not in stored:  # lists may name an image twice
                        stored.create_dataset(f"{name}/global_descriptor", data=vector)


def save_predictions(evaluation: Evaluation, kinds: Sequence[str], folder: Path, count: int) -> None:
    """Writes the first predictions of each query for other programs.

    Args:
        evaluation: evaluation with the predictions.
        kinds: "hloc" for pairs.txt, a line `query database` for each prediction; "msls" for msls_predictions.csv, a
            line with the keys of a query and of its predictions.
        folder: where to write.
        count: how many predictions of a query.
    """
    for kind in kinds:
        file, lines = (PAIRS, _pairs) if kind == "hloc" else (MSLS, _keys)
        with atomic_path(folder / file) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.writelines(lines(evaluation, count))


def first_predictions(evaluation: Evaluation, query: int, count: int) -> list[int]:
    """Returns the first rows that are predicted for a query, each once."""
    return list(dict.fromkeys(evaluation.predictions[query, :count].tolist()))


def _pairs(evaluation: Evaluation, count: int) -> Iterator[str]:
    root = common_folder([evaluation.database, evaluation.queries])
    for query in range(len(evaluation.queries)):
        name = _below(evaluation.queries, query, root)
        for row in first_predictions(evaluation, query, count):
            yield f"{name} {_below(evaluation.database, row, root)}\n"


def _keys(evaluation: Evaluation, count: int) -> Iterator[str]:
    names = evaluation.queries.names, evaluation.database.names
    frames = [np.arange(len(own))[:, None] for own in names]
    if (pair := evaluation.sequences) is not None:  # the keys of a sequence's frames, with commas between them
        names = pair.queries.names, pair.database.names
        frames = [pair.query_windows.rows, pair.database_windows.rows]

    def keys(side: int, row: int) -> str:
        return ",".join(_key(names[side][frame]) for frame in frames[side][row].tolist())

    for query in range(len(evaluation.queries)):
        rows = first_predictions(evaluation, query, count)
        yield " ".join([keys(0, query), *(keys(1, row) for row in rows)]) + "\n"


def _key(name: object) -> str:
    return PurePosixPath(name.as_py()).stem


def common_folder(tables: Sequence[Places]) -> Path:
    """Returns the folder that holds the images of all tables."""
    folders = {os.path.abspath(places.folder) for places in tables}
    return Path(os.path.commonpath(folders))


def _below(places: Places, row: int, root: Path) -> str:
    path = os.path.join(os.path.abspath(places.folder), places.names[row].as_py())
    return os.path.relpath(path, root).replace(os.sep, "/")
