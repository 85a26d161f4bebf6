"""Search in two stages: candidates from one bit a dimension, ranked by descriptors that stay on disk."""

import faiss
import numpy as np

from retrieval.index import candidate_count, ranked, sample_of
from retrieval.table import BLOCK, DescriptorTable

SAMPLE = 16_384


class Binary:
    """Searches the signs of descriptors by Hamming distance, and ranks the nearest by their descriptors.

    Signs are those of the difference to the mean (random hyperplanes without the planes,
    https://doi.org/10.1145/509907.509965). Takes d / 8 bytes of memory an image, 1/32 of float32.
    """

    def __init__(self, table: DescriptorTable, k: int | None = None, *, candidates: int = 0) -> None:
        """Encodes a table.

        Args:
            table: descriptors.
            k: not used.
            candidates: how many are ranked for each query; by default ten for each neighbour, at least 1,000.
        """
        self.vectors, self.candidates = table.vectors, candidates
        self.mean = sample_of(self.vectors, SAMPLE).mean(axis=0)
        self.index = faiss.IndexBinaryFlat(8 * -(-table.dim // 8))
        for start in range(0, len(table), BLOCK):
            self.index.add(self._signs(self.vectors[start : start + BLOCK]))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first."""
        wanted = candidate_count(self.candidates, k, self.index.ntotal)
        _, found = self.index.search(self._signs(queries), wanted)
        return ranked(self.vectors, queries, found, k)

    def _signs(self, vectors: np.ndarray) -> np.ndarray:
        return np.packbits(vectors > self.mean, axis=1)
