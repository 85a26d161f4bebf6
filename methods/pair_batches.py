"""Which pairs of a street photo and an aerial image form the batches of an epoch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from commons.errors import ArgumentError
from datasets.hard_examples import (
    Degrees,
    greedy_clusters,
    neighbour_batches,
    one_of_each,
    position_buckets,
    position_neighbours,
    similar_neighbours,
)

MOST_SCAN = 4096  # batches whose descriptors are in memory together
Describe = Callable[[np.ndarray], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class PairBatches:
    """Draws the batches of an epoch from (seed, epoch) and, for hard examples, from descriptors of the pairs.

    Attributes:
        kind: one of flags.cross_view.HARD_EXAMPLES.
        degrees: positions of the street photos.
        describe: returns the descriptors of pairs, of street photos and of aerial images, float32 (n, d) each.
        apart_m: metres between the pairs of a cluster, or neighbours, at least.
        scan: batches that are scanned together in the second epoch; their number doubles with every epoch.
        neighbours: neighbours of each pair.
        seed: seed of the run.
    """

    kind: str
    degrees: Degrees
    describe: Describe
    apart_m: float
    scan: int
    neighbours: int
    seed: int

    def check(self, batch_size: int) -> None:
        """Raises ArgumentError if there are too few places for a batch."""
        there = len(np.unique(position_buckets(*self.degrees)))
        if there < batch_size:
            raise ArgumentError(
                "batch_size", f"{batch_size} is more than the number of places with photos ({there}); lower it"
            )

    def needs_descriptors(self, epoch: int) -> bool:
        """Whether the batches of an epoch depend on the network."""
        return epoch > 0 and self.kind in ("clusters", "similarity")

    def draw(self, epoch: int, batch_size: int, iterations: int) -> np.ndarray:
        """Returns rows of photos, int64 (iterations, batch_size)."""
        draw, buckets = np.random.default_rng([self.seed, epoch, 0, 2]), position_buckets(*self.degrees)
        if self.kind in ("neighbours", "similarity"):
            return self._neighbours(epoch, buckets, batch_size, iterations, draw)
        rows = self._random(buckets, batch_size * iterations, draw)
        if self.kind == "none" or epoch == 0:
            return rows.reshape(iterations, batch_size)
        return self._clusters(epoch, rows, batch_size, draw)

    def _random(self, buckets: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
        """Returns rows, pass after pass over one photo of each place."""
        parts, got = [], 0
        while got < count:
            parts.append(one_of_each(buckets, draw))
            got += len(parts[-1])
        return np.concatenate(parts)[:count]

    def _clusters(self, epoch: int, rows: np.ndarray, batch_size: int, draw: np.random.Generator) -> np.ndarray:
        """Returns clusters of the pairs of each scan; where a scan gives fewer than it has batches, random ones."""
        size = batch_size * min(self.scan * 2 ** min(epoch - 1, 30), MOST_SCAN)
        generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
        batches = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            own = np.unique(part)
            street, aerial = self.describe(own)
            there = (torch.isfinite(street) & torch.isfinite(aerial)).all(dim=1)
            own, street, aerial = own[there.cpu().numpy()], street[there], aerial[there]
            at = tuple(column[own] for column in self.degrees)
            found = own[greedy_clusters(street, aerial, at, at, batch_size, self.apart_m, generator)]
            found = found[: len(part) // batch_size]
            others = part.reshape(-1, batch_size)[len(found) :]
            batches.append(draw.permutation(np.concatenate([found, others])))
        return np.concatenate(batches)

    def _neighbours(
        self, epoch: int, buckets: np.ndarray, batch_size: int, iterations: int, draw: np.random.Generator
    ) -> np.ndarray:
        batches, got = [], 0
        while got < iterations:
            own = one_of_each(buckets, draw)
            at = tuple(column[own] for column in self.degrees)
            if self.needs_descriptors(epoch):
                near = similar_neighbours(*self.describe(own), at, at, self.neighbours, self.apart_m)
            else:
                near = position_neighbours(*at, self.neighbours, self.apart_m)
            choose = min(self.neighbours, batch_size // 2)
            batches.append(own[neighbour_batches(near, batch_size, choose, draw)])
            got += len(batches[-1])
        return np.concatenate(batches)[:iterations]
