"""Results and predictions from descriptors of street photos and cells."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from cells.region import RegionCells
from commons.sphere import haversine_km
from metrics.cross_view import ENTRIES, Lists, Ranks, expected_recall, ranks, recall, references_within
from tasks.photo_sets import PhotoSet

RADII, VALUES = (0, 25, 50, 100), (1, 5, 10)
MAIN, CHANCE = "R@1<50m", "chance R@1<50m"
TOP = 10  # cells of a photo that are kept


@dataclass(frozen=True)
class StreetSet(PhotoSet):
    """Street photos to locate.

    Attributes:
        folder: folder of the data set; None where only the photos were named.
    """

    folder: str | None = None


@dataclass(frozen=True)
class References:
    """Cells among which photos are searched.

    Attributes:
        cells: cells of the region.
        numbers: numbers of the cells that are searched, ascending int64 (n,).
        descriptors: float32 (n, d).
        empty: number of cells that were left out because no tile shows them.
    """

    cells: RegionCells
    numbers: np.ndarray
    descriptors: np.ndarray
    empty: int = 0

    def rows(self, cells: np.ndarray) -> np.ndarray:
        """Returns the rows of cells among the searched ones, int64; -1 for others."""
        row = np.minimum(np.searchsorted(self.numbers, cells), len(self.numbers) - 1)
        return np.where(self.numbers[row] == cells, row, -1)


@dataclass(frozen=True)
class Found:
    """The evaluation of a network on street photos.

    Attributes:
        photos: the test set.
        results: figures by name, as in results.json.
        table: a row for each photo, as in predictions.parquet.
        seconds: seconds that the network took for all photos and cells.
    """

    photos: StreetSet
    results: dict[str, Any]
    table: pa.Table
    seconds: float


def measure(photos: StreetSet, rows: np.ndarray, queries: np.ndarray, references: References, seconds: float) -> Found:
    """Searches photos among cells.

    Args:
        photos: the test set.
        rows: rows of the photos that could be decoded, int64 (q,).
        queries: their descriptors, float32 (q, d).
        references: the cells.
        seconds: seconds that the network took.
    """
    images, cells = photos.images, references.cells
    known = images.located[rows]
    at = [column[rows] for column in images.degrees]
    middles = cells.centres(references.numbers)
    own = cells.assign(*(np.where(known, column, np.nan) for column in at))
    right = _correct([column[known] for column in at], middles, references.rows(own[known]))
    found = ranks(queries[known], references.descriptors, right)
    results: dict[str, Any] = _recalls(found)
    results["median m"], results["mean m"] = np.nan, np.nan
    top, similarity = best_references(queries, references.descriptors)
    metres = 1000 * haversine_km(*(column[:, None] for column in at), *(column[top] for column in middles))
    if known.any():
        results["median m"], results["mean m"] = (float(f(metres[known, 0])) for f in (np.median, np.mean))
    chance = _recalls({name: _constant(lists, len(middles[0])) for name, lists in right.items()}, expected=True)
    results |= {CHANCE: chance[MAIN], "chance": chance}
    results |= {
        "photos": int(known.sum()), "outside the region": int((own[known] < 0).sum()),
        "without a position": int((~images.located).sum()), "skipped_photos": len(images) - len(rows),
        "cells": len(references.numbers), "cells of the region": len(cells), "empty cells": references.empty,
        "cell_size": cells.grid.size_m,
    }  # fmt: skip
    table = _table(photos, rows, own, references.numbers[top], similarity, metres, middles, top)
    return Found(photos, results, table, seconds)


def _correct(at: list[np.ndarray], middles: tuple[np.ndarray, np.ndarray], own: np.ndarray) -> dict[str, Lists]:
    return {f"{r}m": references_within(*at, *middles, r) if r else Lists.of_cells(own) for r in RADII}


def _recalls(found: dict[str, Ranks], expected: bool = False) -> dict[str, float]:
    """Returns R@k<r in percent; r = 0 is the cell that contains the photo."""
    share = expected_recall if expected else recall
    return {f"R@{k}<{radius}": 100 * share(own, k) for radius, own in found.items() for k in VALUES}


def _constant(correct: Lists, references: int) -> Ranks:
    """Returns the ranks of a network for which all references are equally similar."""
    count = np.diff(correct.offsets)
    return Ranks(np.where(count > 0, 0, references), np.where(count > 0, references - count, 0), count)


def best_references(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the most similar references, int64 (q, k), and their similarities, float32 (q, k)."""
    block, k = max(ENTRIES // max(len(references), 1), 1), min(TOP, len(references))
    tops, values = [np.zeros((0, k), np.int64)], [np.zeros((0, k), np.float32)]
    for start in range(0, len(queries), block):
        similar = queries[start : start + block] @ references.T
        rows = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        value = np.take_along_axis(similar, rows, 1)
        order = np.lexsort((rows, -value), axis=1)
        tops.append(np.take_along_axis(rows, order, 1))
        values.append(np.take_along_axis(value, order, 1))
    return np.concatenate(tops), np.concatenate(values)


def _table(
    photos: StreetSet,
    rows: np.ndarray,
    own: np.ndarray,
    cells: np.ndarray,
    similarity: np.ndarray,
    metres: np.ndarray,
    middles: tuple[np.ndarray, np.ndarray],
    top: np.ndarray,
) -> pa.Table:
    images, count = photos.images, len(photos.images)

    def whole(values: np.ndarray, missing: float) -> np.ndarray:
        column = np.full((count, *values.shape[1:]), missing, values.dtype)
        column[rows] = values
        return column

    latitude, longitude = (column[top[:, 0]] for column in middles)
    return pa.table(
        {
            "path": pa.array(images.names.to_pylist(), pa.string()),
            "latitude": images.latitude, "longitude": images.longitude, "heading": images.heading,
            "predicted_latitude": whole(latitude, np.nan), "predicted_longitude": whole(longitude, np.nan),
            "error_m": whole(metres[:, 0], np.nan), "similarity": whole(similarity[:, 0], np.nan),
            "cell": whole(own, -1), "predicted_cell": whole(cells[:, 0], -1),
            "top_cells": _lists(whole(cells, -1)), "top_similarities": _lists(whole(similarity, np.nan)),
            "top_errors_m": _lists(whole(metres, np.nan)),
        }
    )  # fmt: skip


def _lists(rows: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1]).cast(
        pa.list_(pa.from_numpy_dtype(rows.dtype))
    )
