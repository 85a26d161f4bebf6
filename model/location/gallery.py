"""From location embeddings to positions by the most similar ones of a gallery, without training."""

import math

import faiss
import torch
from torch.nn.functional import normalize

from commons.sphere_tensors import to_degrees, unit_vectors

BLOCK_BYTES = 1 << 28  # of similarities at once
PROBES = 32  # lists that an approximate search looks into


class Gallery:
    """Positions with their embeddings.

    Attributes:
        degrees: latitudes and longitudes, float64 (n, 2).
        embeddings: embeddings of unit length, float32 (n, d).
    """

    def __init__(self, degrees: torch.Tensor, embeddings: torch.Tensor, approximate: bool = False) -> None:
        """Args:
        degrees: latitudes and longitudes, (n, 2).
        embeddings: (n, d), of any length.
        approximate: whether to search in 4 sqrt(n) lists of FAISS in float16, for galleries of a million positions
            and more; it finds about 99.5 % of the neighbours in a fraction of the time.
        """
        self.degrees, self.embeddings = degrees.double(), normalize(embeddings.float(), dim=1)
        self.vectors = unit_vectors(self.degrees)
        self._index = self._lists() if approximate else None

    def __len__(self) -> int:
        return len(self.degrees)

    def nearest(self, embeddings: torch.Tensor, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """Finds the most similar positions of each query, all where there are fewer.

        Args:
            embeddings: queries, (q, d), of any length.
            count: neighbours.

        Returns:
            Rows, int64 (q, count), the most similar first, and their cosine similarities, float32 (q, count).
        """
        count, queries = min(count, len(self)), normalize(embeddings.float(), dim=1)
        if self._index is None:
            return self._exact(queries, count)
        similarities, rows = map(torch.from_numpy, self._index.search(queries.cpu().numpy(), count))
        missing = (rows < 0).any(dim=1)  # too few in the lists that were looked into
        if missing.any():
            rows[missing], similarities[missing] = self._exact(queries[missing], count)
        return rows, similarities

    def _exact(self, queries: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        block = max(1, BLOCK_BYTES // (4 * len(self)))
        found = [(part @ self.embeddings.T).topk(count, dim=1) for part in queries.split(block)]
        return torch.cat([part.indices for part in found]), torch.cat([part.values for part in found])

    def answer(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Returns the most similar position of each query, degrees, float64 (q, 2)."""
        return self.degrees[self.nearest(embeddings)[0][:, 0]]

    def softmax_answer(self, embeddings: torch.Tensor, neighbours: int = 4, temperature: float = 0.05) -> torch.Tensor:
        """Returns the mean on the sphere of the nearest positions, weighted by softmax(cosine / temperature).

        Args:
            embeddings: queries, (q, d).
            neighbours: positions to average.
            temperature: the lower, the more the most similar one counts.

        Returns:
            Degrees, float64 (q, 2).
        """
        return self.average(*self.nearest(embeddings, neighbours), temperature)

    def average(self, rows: torch.Tensor, similarities: torch.Tensor, temperature: float) -> torch.Tensor:
        """Returns the mean on the sphere of positions by softmax(similarity / temperature).

        Args:
            rows, similarities: of `nearest`, (q, k).
            temperature: the lower, the more the most similar one counts.

        Returns:
            Degrees, float64 (q, 2).
        """
        weights = (similarities.double() / temperature).softmax(dim=1)
        return to_degrees((weights[:, :, None] * self.vectors[rows]).sum(dim=1))

    def _lists(self) -> faiss.Index:
        lists = max(1, round(4 * math.sqrt(len(self))))
        kind = f"IVF{lists},SQfp16"
        index = faiss.index_factory(self.embeddings.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        table = self.embeddings.cpu().numpy()
        index.train(table[:: max(1, len(table) // (64 * lists))])
        index.add(table)
        index.nprobe = min(PROBES, lists)
        return index
