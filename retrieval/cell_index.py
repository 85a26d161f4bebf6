"""Indices of the descriptors of aerial cells in a file: built block by block, so that memory stays bounded."""

import logging
import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import psutil

from commons.errors import ArgumentError, PlacewiseError
from commons.files import atomic_path
from retrieval.index import LEAST as LEAST_IMAGES
from retrieval.index import Flat, code_bytes, complete, in_order, ranked, sample_of
from retrieval.table import BLOCK, to_float32

FLAT_CELLS = 250_000  # up to so many, exact search takes about as long as reading a photo
HNSW_LINKS, HNSW_BUILD, HNSW_SEARCH = 64, 40, 512  # as published: https://arxiv.org/abs/2409.16763
SAMPLE, LEAST = 64, 39  # descriptors for each list that k-means looks at, and the fewest
LEAST_CANDIDATES, CANDIDATES = 400, 4  # of a product-code search: at least, and for each neighbour


def memory_bytes() -> int:
    """Returns the memory of this machine."""
    return psutil.virtual_memory().total


def index_bytes(kind: str, count: int, dim: int, itemsize: int) -> int:
    """Returns about how many bytes an index takes, on disk and in memory while it is built.

    Args:
        kind: one of retrieval.CELL_INDICES but auto.
        count, dim: of the descriptors.
        itemsize: bytes per number.
    """
    if kind == "flat":
        return 0
    if kind == "hnsw":  # descriptors, twice as many links of 4 bytes on the lowest level, and little above
        return count * (itemsize * dim + 8 * HNSW_LINKS + 32)
    return count * (code_bytes(dim) + 8) + 4 * dim * (_lists(count) + 256)


def choose_kind(kind: str, count: int, dim: int, itemsize: int) -> str:
    """Returns which index to build: auto is flat for few cells, hnsw if it fits into half of the memory, else ivfpq.

    Raises:
        ArgumentError: if there are too few cells for ivfpq.
    """
    if count < LEAST_IMAGES.get(kind, 0):
        least = LEAST_IMAGES[kind]
        raise ArgumentError("index", f"{kind} needs at least {least} cells, but there are {count}; use flat")
    if kind != "auto":
        return kind
    if count <= FLAT_CELLS:
        return "flat"
    return "hnsw" if 2 * index_bytes("hnsw", count, dim, itemsize) < memory_bytes() else "ivfpq"


class Rows:
    """Some rows of a table of descriptors that may be larger than memory.

    Attributes:
        table: float16 or float32 (n, d).
        kept: positions of the rows, ascending int64 (m,); None for all.
        vectors: the rows themselves, where exact search looks for them.
    """

    def __init__(self, table: np.ndarray, kept: np.ndarray | None = None) -> None:
        self.table, self.kept, self.vectors = table, kept, self
        self.shape, self.dtype = (len(table) if kept is None else len(kept), table.shape[1]), table.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        """Returns rows by a slice or by numbers of any shape."""
        return self.table[chosen if self.kept is None else self.kept[chosen]]

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Returns the positions of rows in the table."""
        return rows if self.kept is None else self.kept[rows]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields all rows in their order, float32 (b, d). Pages of a file that were read are given back."""
        mapped = getattr(self.table, "_mmap", None)
        for start in range(0, len(self), BLOCK):
            yield to_float32(self[start : start + BLOCK])
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)


def build_index(kind: str, rows: Rows, path: Path) -> None:
    """Writes the index of some descriptors to a file, atomically.

    Args:
        kind: hnsw or ivfpq.
        rows: rows of unit length.
        path: path of the file.

    Raises:
        PlacewiseError: if it cannot be written.
    """
    index = _hnsw(rows) if kind == "hnsw" else _ivfpq(rows)
    done = 0
    for block in rows.blocks():
        index.add(block)
        if (done + len(block)) * 10 // len(rows) > done * 10 // len(rows):
            logging.info(f"Index: {done + len(block)} of {len(rows)} cells")
        done += len(block)
    with atomic_path(path) as temporary:
        try:
            faiss.write_index(index, str(temporary))
        except RuntimeError as error:
            raise PlacewiseError(
                f"{path}: cannot be written, probably because the disk is full: free some space and repeat the command"
            ) from error


def _hnsw(rows: Rows) -> faiss.IndexHNSW:
    """Returns an empty graph of neighbours (https://arxiv.org/abs/1603.09320) over float32 or float16.

    With several threads the graph depends on their timing.
    """
    dim, metric = rows.shape[1], faiss.METRIC_INNER_PRODUCT
    if rows.dtype == np.float32:
        index = faiss.IndexHNSWFlat(dim, HNSW_LINKS, metric)
    else:
        index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, HNSW_LINKS, metric)
        index.is_trained = index.storage.is_trained = True  # float16 has nothing to train
    index.hnsw.efConstruction = HNSW_BUILD
    codes = faiss.downcast_index(index.storage).codes
    codes.resize(rows.dtype.itemsize * dim * len(rows))  # reserves memory; growing it would need it twice at times
    codes.clear()
    return index


def _lists(count: int) -> int:
    return max(1, min(math.isqrt(count), count // LEAST))


def _ivfpq(rows: Rows) -> faiss.IndexIVFPQ:
    """Returns inverted lists of product codes (https://doi.org/10.1109/TPAMI.2010.57) that are trained and empty."""
    faiss.cvar.product_quantizer_compute_codes_bs = 2048  # by default, a block takes 1 GB of distances
    count, dim = rows.shape
    lists = _lists(count)
    coarse = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFPQ(coarse, dim, lists, code_bytes(dim), 8, faiss.METRIC_INNER_PRODUCT)
    coarse.this.disown()
    index.own_fields = True
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1  # no warning about small tables
    index.nprobe = max(8, lists // 16)
    sample = sample_of(rows, SAMPLE * lists)
    logging.info(f"Index: k-means of {len(sample)} cells, {lists} lists")
    index.train(sample)
    return index


class CellIndex:
    """Finds the most similar rows, exactly or by the index of a file."""

    def __init__(self, rows: Rows, path: Path | None = None) -> None:
        """Opens an index, which stays on disk where FAISS can map it into memory.

        Args:
            rows: rows from which it was built.
            path: path of its file; None for exact search.

        Raises:
            PlacewiseError: if the file is missing or damaged, or of other rows.
        """
        self.rows, self.index = rows, None
        if path is None:
            return
        try:
            opened = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
            if not isinstance(opened, faiss.IndexIVFPQ):
                opened = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise PlacewiseError(f"{path}: is missing, damaged or not an index; build the database again") from error
        if (opened.ntotal, opened.d) != rows.shape:
            raise PlacewiseError(
                f"{path}: contains {opened.ntotal} descriptors of {opened.d} dimensions instead of {rows.shape[0]} of "
                f"{rows.shape[1]}; build the database again"
            )
        self.index = opened

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the most similar rows; those equally similar within 1e-6 are ordered by their positions.

        Args:
            queries: queries of unit length, float32 (q, d).
            k: neighbours; at most the number of rows.

        Returns:
            Similarities in descending order, float32 (q, k), and positions in the table, int64 (q, k).
        """
        queries = np.ascontiguousarray(queries, np.float32)
        similarities, found = self._indexed(queries, k) if self.index else Flat(self.rows).search(queries, k)
        complete(self.rows, queries, similarities, found)
        found, similarities = in_order(self.rows.positions(found), similarities)
        return similarities, found

    def _indexed(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(self.index, faiss.IndexIVFPQ):
            # Codes rank cells poorly, so similarities are computed from the descriptors.
            _, found = self.index.search(queries, max(CANDIDATES * k, LEAST_CANDIDATES))
            return ranked(self.rows, queries, found, k)
        return self.index.search(queries, k, params=faiss.SearchParametersHNSW(efSearch=max(HNSW_SEARCH, 2 * k)))
