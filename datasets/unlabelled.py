"""Images without labels: of a target domain, or for self-supervised training."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

from commons.errors import ArgumentError, PlacewiseError
from datasets.decoding import ImageFiles
from datasets.places import Places
from datasets.samplers import Draw
from datasets.train_dataset import square, to_device, train_loader
from datasets.unreadable import UnreadableImages


class ImageSampler(Sampler[list[Draw]]):
    """Draws batches of images, pass after pass over all of them, each in a new order, without a gap.

    All draws follow from (seed, epoch, iteration) alone, as `ClassSampler`'s do. A batch may be larger than the set.
    """

    def __init__(
        self, images: int, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        """Args:
        images: images in the set.
        batch_size: images in a batch over all processes together.
        iterations: batches in an epoch.
        seed: seed of the run.
        rank, processes: this process and how many share each batch.

        Raises:
            ArgumentError: if the batch cannot be shared equally.
        """
        if batch_size % processes:
            raise ArgumentError(
                "batch_size", f"{batch_size} cannot be shared by {processes} processes: make it a multiple"
            )
        self.images, self.batch_size, self.iterations, self.seed = images, batch_size, iterations, seed
        self.mine = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
        self.epoch = self.start = 0

    def set_epoch(self, groups: object, epoch: int, start: int = 0) -> None:
        """Chooses the epoch to draw, beginning at iteration `start`; there are no groups to look at."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return self.iterations - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        rows, shifts, drawn = np.empty(0, np.int64), np.empty(0), -1
        for iteration in range(self.start, self.iterations):
            first = (self.epoch * self.iterations + iteration) * self.batch_size
            parts, got = [], 0
            while got < self.batch_size:
                number, position = divmod(first + got, self.images)
                if number != drawn:
                    (rows, shifts), drawn = self._draw_pass(number), number
                part = slice(position, position + self.batch_size - got)
                parts.append((rows[part], shifts[part]))
                got += len(parts[-1][0])
            batch = (np.concatenate(column)[self.mine].tolist() for column in zip(*parts, strict=True))
            yield [Draw(row, row, shift) for row, shift in zip(*batch, strict=True)]

    def _draw_pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        # The last word keeps these draws apart from ClassSampler's, which may belong to the same run.
        draw = np.random.default_rng([self.seed, number, 0, 1])
        return draw.permutation(self.images), draw.random(self.images)


class ImageStream:
    """Batches of uint8 squares on the device, in the order of a sampler."""

    def __init__(
        self,
        source: ImageFiles,
        sampler: ImageSampler,
        num_workers: int,
        device: torch.device,
        decoder: torch.device | None = None,
    ) -> None:
        """Args:
        source: the images, whose shorter side is that of the squares.
        sampler: draws the batches.
        num_workers: processes that read and decode.
        device: where batches go.
        decoder: as for `train_loader`.
        """
        self.sampler, self.size, self.device = sampler, source.shorter_side, device
        self.loader = train_loader(source, sampler, num_workers, device.type == "cuda", decoder)
        self.unreadable = UnreadableImages(len(source.places))
        self.batches: Iterator = iter(())

    def begin_epoch(self, epoch: int, start: int = 0) -> None:
        """Goes to iteration `start` of an epoch."""
        self.sampler.set_epoch([], epoch, start)
        self.batches = iter(self.loader)

    def __next__(self) -> torch.Tensor:
        """Returns the next batch, uint8 (b, 3, s, s).

        Raises:
            PlacewiseError: if none of its images can be decoded, or as `UnreadableImages.add`.
        """
        images, _, failures = to_device(next(self.batches), self.size, self.device)
        for failure in failures:
            self.unreadable.add(*failure)
        if not len(images):
            raise PlacewiseError(f"no image of a batch can be decoded, the last one is {failures[-1][0]}")
        return images


class CentralSquares(ImageFiles):
    """The central squares of a table's images, so that all have one size."""

    def finish(self, image: torch.Tensor) -> torch.Tensor:
        """Returns what `load` gave as uint8 (3, size, size) or, where a size is height and width, (3, height, width).

        Raises:
            OSError: if it cannot be decoded.
        """
        image = super().finish(image)
        whole = not isinstance(self.shorter_side, int)
        return image if whole else square(image, self.shorter_side, Draw(0, 0, shift=0.5))


class SquareImages(CentralSquares):
    """The central squares of a table's images in random order, so that each batch is a sample."""

    def __init__(self, places: Places, size: int | Sequence[int], seed: int = 0) -> None:
        """Args:
        places: which images.
        size: side of the squares in pixels; height and width for whole images, resized to that.
        seed: seed of the order.
        """
        super().__init__(places.take(np.random.default_rng(seed).permutation(len(places))), size)
