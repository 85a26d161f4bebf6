"""Nearest neighbours in a table of descriptors: exact, or through an approximate FAISS index."""

import math
from collections.abc import Iterable, Iterator

import faiss
import numpy as np
import torch

from commons.errors import ArgumentError
from retrieval.engine import Engine
from retrieval.table import BLOCK, DescriptorTable, to_float32

TIE = 1e-6
LEAST = {"ivfpq": 1_000, "pq": 16}  # images that k-means needs
LOOK_FOR = 100  # least number of neighbours that approximate indices search for: fewer are found less reliably
GPU_SCRATCH = 1 << 28  # bytes; FAISS would take six times as many
CANDIDATES = 1 << 24  # bytes of candidates' descriptors that IVFPQ ranks at once


def search(
    table: DescriptorTable, queries: np.ndarray, k: int, index: Engine | str = "flat"
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k nearest descriptors of each query, or all where there are fewer.

    Neighbours that are equally similar, within 1e-6 of the next one, are ordered by their rows. Where equally similar
    ones compete for the k-th place, it is not determined which of them are among the k.

    Args:
        table: descriptors of unit length.
        queries: float32 (q, d) of unit length.
        k: neighbours.
        index: one of retrieval.INDICES, with its options.

    Returns:
        Rows, int64 (q, k), and cosine similarities in descending order, float32 (q, k).

    Raises:
        ArgumentError: if the table is too small for the index.
    """
    ((found, similarities),) = nearest(table, [queries], k, index)
    return in_order(table.rows[found], similarities)


def nearest(
    table: DescriptorTable, blocks: Iterable[np.ndarray], k: int, index: Engine | str = "flat"
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Finds the k nearest descriptors of many queries, block by block, in an index that is built once.

    Args:
        table, k, index: as for `search`.
        blocks: queries, float32 (b, d).

    Yields:
        For each block positions in the table, int64 (b, k), and inner products, float32 (b, k), in any order.

    Raises:
        ArgumentError: if the table is too small for the index.
    """
    engine = Engine.of(index)
    check_index(engine.name, len(table))
    k = min(k, len(table))
    built = engine.build(table, k)
    k = min(k, getattr(built, "count", k))  # an engine may look at a part of the table
    for block in blocks:
        queries = np.ascontiguousarray(block, np.float32)
        similarities, found = built.search(queries, k)
        complete(table, queries, similarities, found)
        yield found, similarities


def complete(table: DescriptorTable, queries: np.ndarray, similarities: np.ndarray, found: np.ndarray) -> None:
    """Searches exactly, in place, where an approximate index had too few neighbours in its lists or on its paths.

    Args:
        table, queries: as for `search`.
        similarities, found: inner products and positions, (q, k), -1 for neighbours that are missing.
    """
    missing = (found < 0).any(axis=1)
    if missing.any():
        similarities[missing], found[missing] = Flat(table).search(queries[missing], found.shape[1])


def check_index(index: str, count: int) -> None:
    """Raises ArgumentError if a table of `count` descriptors is too small for the index."""
    if count < LEAST.get(index, 0):
        raise ArgumentError(
            "index", f"{index} needs at least {LEAST[index]} database images, but there are {count}; use flat"
        )


def tie_groups(similarities: np.ndarray) -> np.ndarray:
    """Numbers the groups of equally similar neighbours of each query.

    Args:
        similarities: (q, k), in descending order.

    Returns:
        int (q, k), 0 for the first group; a new one begins where similarity drops by more than 1e-6.
    """
    drops = similarities[:, :-1] - similarities[:, 1:] > TIE
    return np.pad(np.cumsum(drops, axis=1), ((0, 0), (1, 0)))


def in_order(rows: np.ndarray, similarities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-similarities, axis=1, kind="stable")
    rows, similarities = np.take_along_axis(rows, order, 1), np.take_along_axis(similarities, order, 1)
    return np.take_along_axis(rows, np.lexsort([rows, tie_groups(similarities)], axis=1), 1), similarities


class Flat:
    """Exact search, block by block, on a GPU where FAISS has one."""

    def __init__(self, table: DescriptorTable, k: int | None = None) -> None:
        self.vectors = table.vectors
        self.gpu = None
        if faiss.get_num_gpus() > 0:
            torch.cuda.empty_cache()  # training may have left all of the GPU's memory to PyTorch
            self.gpu = faiss.StandardGpuResources()
            self.gpu.setTempMemory(GPU_SCRATCH)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first; k is at most the number of descriptors."""
        heap = faiss.ResultHeap(len(queries), k, keep_max=True)
        for start in range(0, len(self.vectors), BLOCK):
            block = to_float32(self.vectors[start : start + BLOCK])
            similarities, found = self._neighbours(queries, block, min(k, len(block)))
            heap.add_result(similarities, found + start)
        heap.finalize()
        return heap.D, heap.I

    def _neighbours(self, queries: np.ndarray, block: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if self.gpu is None:
            return faiss.knn(queries, block, k, metric=faiss.METRIC_INNER_PRODUCT)
        return faiss.knn_gpu(self.gpu, queries, block, k, metric=faiss.METRIC_INNER_PRODUCT)


def hnsw(table: DescriptorTable, k: int) -> faiss.Index:
    """Builds a graph of neighbours, HNSW (https://arxiv.org/abs/1603.09320).

    Takes 4 d + 272 bytes an image. With several threads the graph depends on their timing.
    """
    index = faiss.IndexHNSWFlat(table.dim, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, 4 * max(k, LOOK_FOR)
    storage = faiss.downcast_index(index.storage).codes
    storage.resize(4 * len(table) * table.dim)  # reserves memory; growing it would need it twice at times
    storage.clear()
    _fill(index, table)
    return index


class IVFPQ:
    """Searches the nearest of about 4 sqrt(n) lists of product codes (https://doi.org/10.1109/TPAMI.2010.57).

    Codes take about 72 bytes an image. They rank the images of one place poorly, so similarities are computed from the
    descriptors in the table.
    """

    def __init__(self, table: DescriptorTable, k: int | None = None) -> None:
        """Trains lists and codes on a sample of at most 64 images a list, and encodes the table."""
        self.vectors = table.vectors
        count = len(table)
        lists = max(1, min(int(4 * math.sqrt(count)), count // 39))
        parts = code_bytes(table.dim)
        coarse = faiss.IndexFlatIP(table.dim)
        self.index = faiss.IndexIVFPQ(coarse, table.dim, lists, parts, 8, faiss.METRIC_INNER_PRODUCT)
        self.index.nprobe = max(8, lists // 16)
        self.index.pq.cp.min_points_per_centroid = 1  # no warning about small tables
        self.index.train(sample_of(self.vectors, 64 * lists))
        _fill(self.index, table)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first."""
        _, found = self.index.search(queries, max(k, LOOK_FOR))
        return ranked(self.vectors, queries, found, k)


def code_bytes(dim: int) -> int:
    """Returns the bytes of a product code: the largest divisor of the dimension up to 64."""
    return max(divisor for divisor in range(1, 65) if dim % divisor == 0)


def sample_of(vectors: np.ndarray, most: int) -> np.ndarray:
    """Returns at most so many random descriptors of (n, d), always the same ones, float32, in their order."""
    chosen = np.random.default_rng(0).choice(len(vectors), min(most, len(vectors)), replace=False)
    return vectors[np.sort(chosen)].astype(np.float32, copy=False)


def candidate_count(wanted: int, k: int, count: int) -> int:
    """Returns how many of `count` descriptors are ranked for k neighbours; by default (0) 10 k, at least 1,000."""
    return min(max(wanted or max(10 * k, 10 * LOOK_FOR), k), count)


def ranked(vectors: np.ndarray, queries: np.ndarray, found: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Ranks candidates by their descriptors.

    Args:
        vectors: descriptors of the table, (n, d).
        queries: float32 (q, d).
        found: positions of the candidates, int64 (q, c), -1 for none.
        k: how many to keep.

    Returns:
        Inner products, float32 (q, k), best first, and positions, int64 (q, k).
    """
    similarities = np.empty(found.shape, np.float32)
    size = max(1, CANDIDATES // (4 * found.shape[1] * vectors.shape[1]))
    for start in range(0, len(queries), size):
        block = slice(start, start + size)
        candidates = vectors[found[block]].astype(np.float32, copy=False)
        similarities[block] = np.matmul(candidates, queries[block, :, None])[..., 0]
    similarities[found < 0] = -np.inf
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarities, best, 1), np.take_along_axis(found, best, 1)


def _fill(index: faiss.Index, table: DescriptorTable) -> None:
    for start in range(0, len(table), BLOCK):
        index.add(to_float32(table.vectors[start : start + BLOCK]))
