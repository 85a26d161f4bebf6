"""Training batches of features that were extracted before, instead of images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


class FeatureBatches:
    """Batches of cached features in the order of a sampler, as `datasets.train_dataset.train_loader` gives images.

    Memory is that of a batch if the features lie in a file that is mapped.
    """

    def __init__(self, features: np.ndarray, sampler: Any) -> None:
        """Args:
        features: float16 (views, n, d), NaN for images that cannot be decoded.
        sampler: draws the batches; the shift of a draw picks its view.
        """
        self.features, self.sampler = features, sampler
        self.known = np.isfinite(features[0, :, 0])

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, list]]:
        """Yields float32 (b, d), labels int64 (b,), and no failures: they were counted when features were extracted."""
        views = len(self.features)
        for draws in self.sampler:
            rows = np.array([draw.row for draw in draws])
            labels = np.array([draw.label for draw in draws])
            chosen = np.array([int(draw.shift * views) for draw in draws])
            good = np.flatnonzero(self.known[rows])
            if len(good) < len(rows):
                good = np.resize(good, len(rows))
                rows, labels, chosen = rows[good], labels[good], chosen[good]
            found = self.features[chosen, rows].astype(np.float32)
            yield torch.from_numpy(found), torch.from_numpy(labels), []
