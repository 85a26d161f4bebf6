"""Search in two stages: candidates from product codes, ranked by descriptors that stay on disk."""

import faiss
import numpy as np

from commons.errors import ArgumentError
from retrieval.index import candidate_count, ranked, sample_of
from retrieval.table import BLOCK, DescriptorTable, to_float32

SAMPLE = 16_384


class PQ:
    """Searches all product codes of 4 bits (https://arxiv.org/abs/1812.09162), and ranks the nearest by descriptors.

    Four dimensions share a code, one of 16 centres of k-means (https://doi.org/10.1109/TPAMI.2010.57), where the
    dimension is a multiple of four. Takes d / 8 bytes of memory an image, 1/32 of float32.
    """

    def __init__(self, table: DescriptorTable, k: int | None = None, *, candidates: int = 0, parts: int = 0) -> None:
        """Trains the codes on at most 16,384 descriptors, and encodes the table.

        Args:
            table: descriptors.
            k: not used.
            candidates: how many are ranked for each query; by default ten for each neighbour, at least 1,000.
            parts: codes of a descriptor, a divisor of its dimension; by default, the largest one up to d / 4.

        Raises:
            ArgumentError: if `parts` is no divisor.
        """
        self.vectors, self.candidates = table.vectors, candidates
        parts = parts or max(part for part in range(1, max(1, table.dim // 4) + 1) if table.dim % part == 0)
        if table.dim % parts:
            raise ArgumentError("index_options", f"parts={parts} does not divide the {table.dim} dimensions")
        self.index = faiss.IndexPQFastScan(table.dim, parts, 4, faiss.METRIC_INNER_PRODUCT)
        self.index.pq.cp.min_points_per_centroid = 1  # no warning about small tables
        self.index.train(sample_of(self.vectors, SAMPLE))
        for start in range(0, len(table), BLOCK):
            self.index.add(to_float32(self.vectors[start : start + BLOCK]))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first."""
        _, found = self.index.search(queries, candidate_count(self.candidates, k, self.index.ntotal))
        return ranked(self.vectors, queries, found, k)
