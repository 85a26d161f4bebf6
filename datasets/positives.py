"""Which database images are correct for each query, as lists of rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from commons.errors import PlacewiseError


@dataclass(frozen=True)
class Positives:
    """The correct database images of q queries, for test sets whose ground truth is no distance.

    Attributes:
        starts: int64 (q + 1,); the rows of query i are rows[starts[i]:starts[i + 1]].
        rows: rows of the database, int64 (n,), ascending for each query.
        database: how many images the database has.
    """

    starts: np.ndarray
    rows: np.ndarray
    database: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, query: int) -> np.ndarray:
        """Returns the rows of one query."""
        return self.rows[self.starts[query] : self.starts[query + 1]]

    @property
    def counts(self) -> np.ndarray:
        """How many correct images each query has, int64 (q,)."""
        return np.diff(self.starts)

    @property
    def first(self) -> np.ndarray:
        """The first correct row of each query, int64 (q,), -1 where there is none."""
        rows = np.append(self.rows, -1)[self.starts[:-1]]
        return np.where(self.counts > 0, rows, -1)

    def contains(self, predictions: np.ndarray) -> np.ndarray:
        """Returns whether each prediction, a row of the database (q, k), is correct, bool (q, k)."""
        keys = self._queries * self.database + self.rows
        wanted = np.arange(len(self))[:, None] * self.database + predictions
        where = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        return (keys[where] == wanted) & (predictions >= 0) if len(keys) else np.zeros(predictions.shape, bool)

    def take(self, queries: np.ndarray, database: np.ndarray) -> "Positives":
        """Returns the lists of some queries, in rows of a smaller database.

        Args:
            queries: rows of the queries that stay, ascending.
            database: rows of the database images that stay, ascending.
        """
        new = np.full(self.database, -1)
        new[database] = np.arange(len(database))
        number = np.full(len(self), -1)
        number[queries] = np.arange(len(queries))
        rows, owners = new[self.rows], number[self._queries]
        kept = (rows >= 0) & (owners >= 0)
        return from_pairs(owners[kept], rows[kept], len(queries), len(database))

    @property
    def _queries(self) -> np.ndarray:
        return np.repeat(np.arange(len(self)), self.counts)


def from_lists(lists: Iterable[Sequence[int]], database: int, source: object) -> Positives:
    """Builds the table from a list of rows for each query.

    Args:
        lists: lists of each query, in order.
        database: how many images the database has.
        source: the file, for messages.

    Raises:
        PlacewiseError: if a row is no whole number, or does not exist.
    """
    arrays = [_rows(entry, source, query) for query, entry in enumerate(lists)]
    owners = np.repeat(np.arange(len(arrays)), [len(entry) for entry in arrays])
    rows = np.concatenate([np.empty(0, np.int64), *arrays])
    wrong = np.flatnonzero((rows < 0) | (rows >= database))
    if len(wrong):
        raise PlacewiseError(
            f"{source}: query {owners[wrong[0]]} has the correct image {rows[wrong[0]]}, but the database has "
            f"{database} images, 0 to {database - 1} ({len(wrong)} such rows): do they belong to the same data set?"
        )
    return from_pairs(owners, rows, len(arrays), database)


def _rows(entry: Sequence[int], source: object, query: int) -> np.ndarray:
    try:
        values = np.asarray(entry).reshape(-1)
        rows = values.astype(np.int64)
        if len(values) and not np.array_equal(rows, values.astype(np.float64)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise PlacewiseError(f"{source}: the correct images of query {query} are not a list of rows") from None
    return rows


def from_matrix(matrix: np.ndarray) -> Positives:
    """Builds the table from a matrix, true where a database image is correct, (q, d)."""
    owners, rows = np.nonzero(matrix)
    return from_pairs(owners, rows, *matrix.shape)


def within_frames(frames: np.ndarray, database: int, tolerance: int) -> Positives:
    """Builds the table of a video: correct are the frames that are at most `tolerance` frames away.

    Args:
        frames: frame of each query, (q,).
        database: number of the database's frames, which are its rows.
        tolerance: frames.
    """
    first = np.maximum(frames - tolerance, 0)
    counts = np.minimum(frames + tolerance, database - 1) - first + 1
    owners = np.repeat(np.arange(len(frames)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return from_pairs(owners, first[owners] + within, len(frames), database)


def from_pairs(owners: np.ndarray, rows: np.ndarray, queries: int, database: int) -> Positives:
    """Sorts pairs of query and row, and drops those that occur twice."""
    keys = np.unique(owners.astype(np.int64) * max(database, 1) + rows)
    owners, rows = np.divmod(keys, max(database, 1))
    return Positives(np.searchsorted(owners, np.arange(queries + 1)), rows, database)
