"""Images without labels: of a target domain, or for self-supervised training."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from commons.errors import UsageError
from datasets.train_dataset import Draw


class ImageSampler(Sampler[list[Draw]]):
    """Draws batches of (image, image, shift): pass after pass over all images, each in a new order, without a gap.

    All draws follow from (seed, epoch, iteration) alone, as `ClassSampler`'s do. A batch may be larger than the set.
    """

    def __init__(
        self, images: int, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        """Args:
        images: in the set.
        batch_size: images in a batch over all processes together.
        iterations: batches in an epoch.
        seed: seed of the run.
        rank, processes: this process and how many share each batch.

        Raises:
            UsageError: if the batch cannot be shared equally.
        """
        if batch_size % processes:
            raise UsageError(f"--batch_size {batch_size} cannot be shared by {processes} processes: make it a multiple")
        self.images, self.batch_size, self.iterations, self.seed = images, batch_size, iterations, seed
        self.mine = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Chooses the epoch to draw, beginning at iteration `start`."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return self.iterations - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        rows, shifts, drawn = np.empty(0, np.int64), np.empty(0), -1
        for iteration in range(self.start, self.iterations):
            first = (self.epoch * self.iterations + iteration) * self.batch_size
            parts = []
            while (got := sum(len(part) for part, _ in parts)) < self.batch_size:
                number, position = divmod(first + got, self.images)
                if number != drawn:
                    (rows, shifts), drawn = self._draw_pass(number), number
                part = slice(position, position + self.batch_size - got)
                parts.append((rows[part], shifts[part]))
            batch = [np.concatenate(column)[self.mine] for column in zip(*parts, strict=True)]
            yield [(int(row), int(row), float(shift)) for row, shift in zip(*batch, strict=True)]

    def _draw_pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        # The last word keeps these draws apart from ClassSampler's, which may belong to the same run.
        draw = np.random.default_rng([self.seed, number, 0, 1])
        return draw.permutation(self.images), draw.random(self.images)
