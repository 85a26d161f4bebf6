"""Training batches of features that were extracted before, instead of images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from datasets.places import Places

REASON = "when its features were extracted"


class FeatureBatches:
    """Batches of cached features in the order of a sampler, as `datasets.train_dataset.train_loader` gives images.

    Memory is that of a batch if the features lie in a file that is mapped.
    """

    def __init__(self, features: np.ndarray, sampler: Any, places: Places) -> None:
        """Args:
        features: float16 (views, n, d), NaN for images that cannot be decoded.
        sampler: draws the batches; the shift of a draw picks its view.
        places: the images.
        """
        self.features, self.sampler, self.places = features, sampler, places
        self.known = np.isfinite(features[0, :, 0])

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[tuple[str, str]]]]:
        """Yields float32 (b, d), labels int64 (b,), and (path, reason) of every image without features.

        Such an image is replaced by another of the batch with its label. A batch without any features is empty.
        """
        views = len(self.features)
        for draws in self.sampler:
            rows = np.array([draw.row for draw in draws])
            labels = np.array([draw.label for draw in draws])
            chosen = np.array([int(draw.shift * views) for draw in draws])
            known = self.known[rows]
            failures = [(str(self.places.path(row)), REASON) for row in rows[~known]]
            good = np.flatnonzero(known)
            if failures and len(good):
                good = np.resize(good, len(rows))
            rows, labels, chosen = rows[good], labels[good], chosen[good]
            found = torch.from_numpy(self.features[chosen, rows]).float()  # faster than NumPy's conversion
            yield found, torch.from_numpy(labels), failures
