"""Distances between windows of frames: the smallest one between a frame of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from datasets.distances import nearest_alike, pair_distances, within
from datasets.places import Places
from datasets.positives import Positives, from_pairs
from datasets.sequences import Windows

BLOCK = 1 << 22  # pairs of frames whose distances are in memory at once


@dataclass(frozen=True)
class SequencePair:
    """Query and database windows, and the images that they are made of.

    Attributes:
        queries, database: all images.
        query_windows, database_windows: windows of their rows.
    """

    queries: Places
    database: Places
    query_windows: Windows
    database_windows: Windows

    def distances(self, neighbours: np.ndarray) -> np.ndarray:
        """Returns metres from each query window to some database windows, both (q, k)."""
        own, other = self.query_windows.rows, self.database_windows.rows
        metres = np.empty(neighbours.shape)
        pairs = own.shape[1] * neighbours.shape[1] * other.shape[1]
        step = max(1, BLOCK // max(pairs, 1))
        for start in range(0, len(own), step):
            block = slice(start, start + step)
            frames, found = own[block], other[neighbours[block]].reshape(len(own[block]), -1)
            apart = pair_distances(
                self.queries.take(frames.ravel()), self.database, np.repeat(found, frames.shape[1], axis=0)
            )
            metres[block] = apart.reshape(*frames.shape, -1, other.shape[1]).min(axis=(1, 3))
        return metres

    def nearest(self, threshold: float, chosen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Finds the database window nearest to each query window; of several, the one with its frame in the middle.

        Args:
            threshold: metres; a place beyond it does not stand for one within.
            chosen: query windows; None for all.

        Returns:
            Metres, number of the database window and degrees between the headings of both frames, (q,) each; inf, -1
            and NaN where unknown.
        """
        own = self.query_windows.rows if chosen is None else self.query_windows.rows[chosen]
        used = np.unique(self.database_windows.rows)
        asked, where = np.unique(own, return_inverse=True)
        found = nearest_alike(self.queries.take(asked), self.database.take(used), threshold)
        metres, rows, turn = (column[where].reshape(own.shape) for column in found)
        best = metres.argmin(axis=1)[:, None]
        metres, rows, turn = (np.take_along_axis(column, best, 1)[:, 0] for column in (metres, rows, turn))
        windows = np.full(len(rows), -1)
        known = rows >= 0
        windows[known] = self.database_windows.around(used[rows[known]])
        return metres, windows, turn

    def within(self, metres: float) -> Iterator[np.ndarray]:
        """Yields the database windows within a distance of each query window, those of the nearest frames first."""
        members = self._members(self.database_windows, len(self.database)).T.tocsr()
        windows = self.query_windows.rows
        near = within(self.queries.take(windows.ravel()), self.database, metres)
        for _ in windows:
            rows = np.concatenate([next(near) for _ in range(windows.shape[1])])
            lists = [members.indices[members.indptr[row] : members.indptr[row + 1]] for row in dict.fromkeys(rows)]
            yield np.array(list(dict.fromkeys(np.concatenate([np.empty(0, np.int64), *lists]).tolist())), np.int64)

    def positives(self, positives: Positives) -> Positives:
        """Returns lists of windows from lists of images: a window is correct if any of its frames is.

        Args:
            positives: rows of `database` for each row of `queries`.
        """
        pairs = sparse.csr_matrix(
            (np.ones(len(positives.rows), bool), positives.rows, positives.starts),
            shape=(len(self.queries), len(self.database)),
        )
        own = self._members(self.query_windows, len(self.queries))
        other = self._members(self.database_windows, len(self.database))
        found = (own @ pairs @ other.T).tocoo()
        return from_pairs(found.row, found.col, *found.shape)

    @staticmethod
    def _members(windows: Windows, images: int) -> sparse.csr_matrix:
        """Returns which images a window has, bool (w, images)."""
        rows = windows.rows
        starts = np.arange(len(rows) + 1) * windows.length
        return sparse.csr_matrix((np.ones(rows.size, bool), rows.ravel(), starts), shape=(len(rows), images))
