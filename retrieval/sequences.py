"""Sequences of frames instead of single images: mean descriptors, and lines through the matrix of distances.

For windows of N frames q_i and x_i with unit descriptors f, i from -a to N - 1 - a, a = floor((N - 1) / 2):

- mean: L2(sum_i f(q_i)), searched like the descriptor of an image.
- seqmatch: min_v 1/N sum_i |f(q_i) - f(x_[v i])|, the mean along a straight line with v database frames for each query
  frame, [] rounding to whole numbers, halves away from 0 (SeqSLAM, https://doi.org/10.1109/ICRA.2012.6224623; as in
  seqNet, https://arxiv.org/abs/2102.11603, which has v = 1; without SeqSLAM's contrast enhancement). v is a range: the
  minimum is over all different lines in it. A line that would leave the run of its sequence stays at the run's first or
  last frame. A single image is a run of one frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from retrieval.index import in_order
from retrieval.table import DescriptorTable

STEP = 1_024
BYTES = 1 << 28  # of distances in memory at once


class WindowColumns(Protocol):
    """What this module reads of datasets.sequences.Windows."""

    length: int
    order: np.ndarray
    start: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rows: np.ndarray
    middle: np.ndarray
    before: int

    def __len__(self) -> int: ...

    def take(self, numbers: np.ndarray) -> "WindowColumns": ...


def line_offsets(length: int, before: int, low: float, high: float) -> np.ndarray:
    """Returns the frames of all different straight lines, relative to the middle one, int64 (lines, length).

    Args:
        length: frames of a line.
        before: how many of them are before the middle one.
        low, high: velocities, database frames for each query frame.
    """
    steps = np.arange(length) - before
    # [v i] changes where v i is k + 1/2; between two such velocities the line is the same.
    farthest = max(int(np.abs(steps).max(initial=0)), 1)
    halves = np.arange(int(high * farthest) + 1) + 0.5
    changes = (halves / np.arange(1, farthest + 1)[:, None]).ravel()
    edges = np.unique(np.concatenate([[low, high], changes[(changes > low) & (changes < high)]]))
    velocities = np.concatenate([[low, high], (edges[:-1] + edges[1:]) / 2])
    exact = velocities[:, None] * steps
    lines = np.sign(exact) * np.floor(np.abs(exact) + 0.5)
    return np.unique(lines.astype(np.int64), axis=0)


def positions_of(table: DescriptorTable, rows: np.ndarray) -> np.ndarray:
    """Returns where the descriptors of some images are in a table."""
    order = np.argsort(table.rows, kind="stable")
    return order[np.searchsorted(table.rows, rows, sorter=order)]


def mean_descriptors(table: DescriptorTable, windows: WindowColumns) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields numbers of windows (b,) and their mean descriptors, float32 (b, d) of unit length."""
    place = positions_of(table, windows.order)
    for start in range(0, len(windows), STEP):
        first = windows.start[start : start + STEP]
        total = np.zeros((len(first), table.dim), np.float32)
        for shift in range(windows.length):
            total += table.vectors[place[first + shift]]
        total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
        yield np.arange(start, start + len(first)), total


@dataclass(frozen=True)
class FrameTable:
    """Windows and the descriptors of their frames, with what is searched of a `DescriptorTable`.

    Attributes:
        table: table of the images.
        windows: windows of the rows of `table`.
        rows: numbers of the windows, ascending, (w,).
    """

    table: DescriptorTable
    windows: WindowColumns
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def among(self, numbers: np.ndarray) -> "FrameTable":
        """Returns the windows with some ascending numbers."""
        kept = np.flatnonzero(np.isin(self.rows, numbers))
        return FrameTable(self.table, self.windows.take(kept), self.rows[kept])


def match_lines(database: FrameTable, queries: FrameTable, k: int, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k database windows with the smallest distance along a line (seqmatch).

    Distances of a few query windows to all database frames are in memory at once: about 256 MiB, or the
    4 (2 N + 3) bytes per database frame of a single query window if these are more. Of a part of the database, the
    descriptors are copied.

    Args:
        database, queries: windows; those of one side may be single images.
        k: neighbours.
        lines: lines returned by `line_offsets`, (lines, N).

    Returns:
        Numbers of windows, int64 (q, k), and 1 - d^2 / 2 of their distances d, float32 (q, k) in descending order. It
        is the cosine of two unit vectors at this distance.
    """
    k = min(k, len(database))
    vectors, places = _run_frames(database, np.unique(lines).tolist())
    step = max(1, BYTES // (4 * (2 * lines.shape[1] + 3) * len(vectors)))
    found, similarities = (np.empty((len(queries), k), kind) for kind in (np.int64, np.float32))
    for start in range(0, len(queries), step):
        asked = queries.windows.take(np.arange(start, min(start + step, len(queries))))
        distances = _line_distances(queries.table, asked, vectors, places, lines)
        values, which = torch.topk(distances, k, largest=False)
        block = slice(start, start + len(asked))
        found[block], similarities[block] = database.rows[which.numpy()], (1 - values.square() / 2).numpy()
    return in_order(found, similarities)


def _run_frames(database: FrameTable, offsets: list[int]) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Returns the descriptors of all frames in the windows' runs, (n, d), and for each offset from the middle frame
    of a window which of them it is, (w,); not copied where these are all descriptors."""
    windows = database.windows
    first = np.unique(windows.low, return_index=True)[1]
    low, counts = windows.low[first], (windows.high - windows.low + 1)[first]
    ends = np.cumsum(counts)
    frames = np.arange(ends[-1]) + np.repeat(low - ends + counts, counts)
    bounds = [np.searchsorted(frames, own) for own in (windows.low, windows.high)]
    middle = np.searchsorted(frames, windows.start + windows.before)
    kept, vectors = positions_of(database.table, windows.order[frames]), database.table.vectors
    if len(kept) < len(vectors):
        vectors, kept = vectors[kept], np.arange(len(kept))
    places = {offset: torch.from_numpy(kept[np.clip(middle + offset, *bounds)]) for offset in offsets}
    return torch.from_numpy(vectors), places


def _line_distances(
    table: DescriptorTable,
    asked: WindowColumns,
    vectors: torch.Tensor,
    places: dict[int, torch.Tensor],
    lines: np.ndarray,
) -> torch.Tensor:
    """Returns the distances of query windows to all database windows along their best lines, (q, w)."""
    frames, where = np.unique(asked.rows, return_inverse=True)
    own = torch.from_numpy(table.vectors[positions_of(table, frames)].astype(np.float32, copy=False))
    pairs = (vectors @ own.T).mul_(-2).add_(2).clamp_(min=0).sqrt_()
    where = torch.from_numpy(where.reshape(asked.rows.shape))
    # A frame's distances to all queries lie side by side, so that the lines copy whole rows.
    steps = [pairs.index_select(1, where[:, step]) for step in range(asked.length)]
    best = None
    for line in lines:
        total = torch.zeros(len(next(iter(places.values()))), len(asked))
        for step, offset in enumerate(line.tolist()):
            total += steps[step % asked.length].index_select(0, places[offset])
        best = total if best is None else torch.minimum(best, total, out=best)
    return best.div_(lines.shape[1]).T.contiguous()
