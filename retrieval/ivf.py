"""Inverted lists on disk that are mapped into memory: databases that are larger than memory.

The lists are cut into segments of SEGMENT bytes, one file each. A segment is filled in memory and written once, so the
building needs the memory of one segment, and images are added by a further segment.
"""

import math
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import torch

from commons.errors import ArgumentError, PlacewiseError
from commons.files import atomic_path
from retrieval.index import LOOK_FOR, ranked, sample_of
from retrieval.table import BLOCK, DescriptorTable, to_float32

SEGMENT = 1 << 28  # bytes of codes
QUERIES, FOUND = 100, 0.99
SAMPLE = 64  # descriptors for each list that k-means looks at
LEAST = 39  # descriptors for each list, fewer are too few for k-means
KINDS = {"ivf_fp16": faiss.ScalarQuantizer.QT_fp16, "ivf_sq8": faiss.ScalarQuantizer.QT_8bit}


def train(vectors: np.ndarray, kind: str, lists: int = 0) -> faiss.IndexIVFScalarQuantizer:
    """Returns an index without descriptors: lists from k-means of a sample, and the ranges of codes.

    Args:
        vectors: float16 or float32 (n, d).
        kind: one of KINDS.
        lists: number of lists; 0 for sqrt(n).

    Raises:
        ArgumentError: if there are more lists than descriptors.
    """
    count, dim = vectors.shape
    if lists > count:
        raise ArgumentError(
            "index_options", f"lists={lists} is more than the number of database images ({count}); lower it"
        )
    lists = lists or max(1, min(math.isqrt(count), count // LEAST))
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dim), dim, lists, KINDS[kind], faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.cp.min_points_per_centroid = 1  # no warning about small tables
    index.train(sample_of(vectors, SAMPLE * lists))
    return index


def choose_nprobe(index: faiss.IndexIVFScalarQuantizer, table: DescriptorTable) -> int:
    """Returns how many lists a query must look at to find 99 % of its ten nearest neighbours.

    Measured with 100 images of the table: their neighbours of exact search lie in lists of known rank.
    """
    vectors, count = table.vectors, len(table)
    chosen = np.sort(np.random.default_rng(1).choice(count, min(QUERIES, count), replace=False))
    queries = vectors[chosen].astype(np.float32, copy=False)
    found = _nearest(vectors, queries, min(11, count))
    neighbours = vectors[found.ravel()].astype(np.float32, copy=False)
    lists = index.quantizer.search(neighbours, 1)[1].reshape(found.shape)
    order = index.quantizer.search(queries, index.nlist)[1]
    ranks = np.take_along_axis(np.argsort(order, axis=1), lists, 1)[found != chosen[:, None]]
    return 1 + int(np.quantile(ranks, FOUND, method="higher")) if len(ranks) else 1


def _nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Returns the positions of the k largest inner products of few queries, int64 (q, k).

    For 100 queries of 512 dimensions, PyTorch's product takes a third of the time of faiss.knn.
    """
    wanted = torch.from_numpy(queries)
    best, found = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(vectors), BLOCK):
        own = wanted @ torch.from_numpy(to_float32(vectors[start : start + BLOCK])).T
        similarities, positions = own.topk(min(k, own.shape[1]))
        best, order = torch.cat([best, similarities], dim=1).sort(dim=1, descending=True, stable=True)
        found = torch.cat([found, positions + start], dim=1).gather(1, order)[:, :k]
        best = best[:, :k]
    return found.numpy()


def segments(index: faiss.IndexIVFScalarQuantizer, count: int) -> Iterator[tuple[int, int]]:
    """Yields the first position of each segment of `count` descriptors, and the one behind its last."""
    size = max(1, SEGMENT // index.code_size)
    for start in range(0, count, size):
        yield start, min(start + size, count)


def write_segment(index: faiss.IndexIVFScalarQuantizer, vectors: np.ndarray, ids: np.ndarray, path: Path) -> None:
    """Writes the lists of some descriptors to a file, atomically.

    Args:
        index: index returned by `train`.
        vectors: float16 or float32 (n, d).
        ids: numbers that a search returns, int64 (n,).
        path: path of the file.
    """
    lists = faiss.ArrayInvertedLists(index.nlist, index.code_size)
    index.replace_invlists(lists, False)
    for start in range(0, len(ids), BLOCK):
        block = to_float32(vectors[start : start + BLOCK])
        index.add_with_ids(block, np.ascontiguousarray(ids[start : start + BLOCK]))
    index.replace_invlists(None, False)  # it does not own them
    write_lists(lists, path)


def write_lists(lists: faiss.InvertedLists, path: Path) -> None:
    """Writes inverted lists to a file, atomically.

    Raises:
        PlacewiseError: if they cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            writer = faiss.FileIOWriter(str(temporary))
            faiss.write_InvertedLists(lists, writer)
            del writer  # closes the file
        except RuntimeError as error:
            raise PlacewiseError(
                f"{path}: cannot be written, probably because the disk is full: free some space and repeat the command"
            ) from error


def read_lists(path: Path, mapped: bool = True) -> faiss.InvertedLists:
    """Opens the file of a segment; `mapped` leaves its lists on disk.

    Raises:
        PlacewiseError: if it is damaged.
    """
    try:
        reader = faiss.FileIOReader(str(path))
        return faiss.read_InvertedLists(reader, faiss.IO_FLAG_MMAP if mapped else 0)
    except RuntimeError as error:
        raise PlacewiseError(f"{path}: is damaged or not an index; build it again") from error


class Lists:
    """Searches the inverted lists of all segments.

    Attributes:
        index: index returned by `train`.
        segments: lists on disk.
        nprobe: number of lists that a query looks at.
    """

    def __init__(self, index: faiss.IndexIVFScalarQuantizer, files: list[Path], nprobe: int) -> None:
        """Opens the segments."""
        self.index, self.segments = index, [read_lists(file) for file in files]
        self.nprobe = index.nprobe = min(nprobe, index.nlist)
        self._lock = threading.Lock()

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products with codes, and the ids that descriptors were written with, as Index does."""
        coarse, chosen = self.index.quantizer.search(queries, self.nprobe)
        heap = faiss.ResultHeap(len(queries), k, keep_max=True)
        with self._lock:  # the index has one segment at a time
            for lists in self.segments:
                self.index.replace_invlists(lists, False)
                heap.add_result(*self.index.search_preassigned(queries, k, chosen, coarse))
        heap.finalize()
        return heap.D, heap.I


class IVFFloat16:
    """Searches the nearest of sqrt(n) lists (https://doi.org/10.1109/TPAMI.2010.57) of float16, which stay on disk.

    Memory holds the centres of the lists, 4 d bytes each, and what the system keeps of the file as long as no program
    needs the memory.
    """

    kind = "ivf_fp16"

    def __init__(self, table: DescriptorTable, k: int | None = None, *, lists: int = 0, nprobe: int = 0) -> None:
        """Trains the lists on a sample of at most 64 images a list, and writes them to a temporary folder.

        Args:
            table: descriptors.
            k: not used.
            lists: number of lists; by default sqrt(n).
            nprobe: number of lists that a query looks at; by default as many as find 99 % of the ten nearest
                neighbours of 100 database images.
        """
        self.vectors = table.vectors
        self.index = train(self.vectors, self.kind, lists)
        positions = np.arange(len(table))
        # Linux keeps the files until they are no longer mapped; they go when the process is killed, too.
        with tempfile.TemporaryDirectory(dir=table.folder, ignore_cleanup_errors=os.name == "nt") as folder:
            files = []
            for start, stop in segments(self.index, len(table)):
                files.append(Path(folder) / f"{start}.lists")
                write_segment(self.index, self.vectors[start:stop], positions[start:stop], files[-1])
            self.lists = Lists(self.index, files, nprobe or choose_nprobe(self.index, table))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first."""
        return self.lists.search(queries, k)


class IVFInt8(IVFFloat16):
    """Searches the nearest of sqrt(n) lists (https://doi.org/10.1109/TPAMI.2010.57) of 8-bit codes, which stay on disk.

    The codes take half the bytes of float16. The candidates that they give are ranked by the descriptors in the table.
    """

    kind = "ivf_sq8"

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first."""
        _, found = self.lists.search(queries, min(max(2 * k, LOOK_FOR), len(self.vectors)))
        return ranked(self.vectors, queries, found, k)
