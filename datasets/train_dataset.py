"""Training batches: a class is drawn, then one of its images."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from commons.errors import UsageError
from datasets.decoding import read_image, resize_shorter_side, start_worker
from datasets.grouping import Group
from datasets.places import Places

Draw = tuple[int, int, float]


class ClassSampler(Sampler[list[Draw]]):
    """Draws batches of (image, label, shift) so that every class of a group is equally likely, as CosPlace does.

    Each pass over the group visits its classes in a new order and drops the last incomplete batch. All draws follow
    from (seed, epoch, pass) alone: a run that is resumed, or spread over several processes, draws what a single one
    draws. `shift` in [0, 1) says which square window of an oblong image is taken.
    """

    def __init__(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        """Args:
        batch_size: images in a batch over all processes together.
        iterations: batches in an epoch.
        seed: seed of the run.
        rank, processes: this process and how many share each batch.

        Raises:
            UsageError: if the batch cannot be shared equally.
        """
        if batch_size % processes:
            raise UsageError(f"--batch_size {batch_size} cannot be shared by {processes} processes: make it a multiple")
        self.batch_size, self.iterations, self.seed = batch_size, iterations, seed
        self.mine = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
        self.group: Group | None = None
        self.epoch = self.start = 0

    def set_epoch(self, group: Group, epoch: int, start: int = 0) -> None:
        """Chooses the group and epoch to draw from, beginning at iteration `start`.

        Raises:
            UsageError: if the group cannot fill one batch.
        """
        if len(group) < self.batch_size:
            raise UsageError(
                f"group {group.group_id} has {len(group)} classes, fewer than --batch_size {self.batch_size}: lower "
                f"--batch_size to {len(group)} or less, or lower --N, --L or --min_images_per_class"
            )
        self.group, self.epoch, self.start = group, epoch, start

    def __len__(self) -> int:
        return self.iterations - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        assert self.group is not None, "set_epoch comes first"
        batches_a_pass = len(self.group) // self.batch_size
        for iteration in range(self.start, self.iterations):
            pass_number, position = divmod(iteration, batches_a_pass)
            if position == 0 or iteration == self.start:
                images, labels, shifts = self._draw_pass(pass_number)
            rows = slice(position * self.batch_size, (position + 1) * self.batch_size)
            batch = zip(images[rows][self.mine], labels[rows][self.mine], shifts[rows][self.mine], strict=True)
            yield [(int(image), int(label), float(shift)) for image, label, shift in batch]

    def _draw_pass(self, pass_number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        draw = np.random.default_rng([self.seed, self.epoch, pass_number])
        labels = draw.permutation(len(self.group))
        first, size = self.group.offsets[labels], np.diff(self.group.offsets)[labels]
        images = self.group.images[first + (draw.random(len(labels)) * size).astype(np.int64)]
        return images, labels, draw.random(len(labels))


class TrainImages(Dataset):
    """Decodes the images that a sampler draws into square uint8 tensors."""

    def __init__(self, places: Places, image_size: int) -> None:
        self.places, self.image_size = places, image_size

    def __getitem__(self, draw: Draw) -> tuple[torch.Tensor | None, int, str, str]:
        """Returns (uint8 (3, size, size) or None, label, path, why it could not be decoded)."""
        image, label, shift = draw
        path = self.places.path(image)
        try:
            return square(read_image(path), self.image_size, shift), label, str(path), ""
        except OSError as error:
            return None, label, str(path), str(error)


def square(image: torch.Tensor, size: int, shift: float) -> torch.Tensor:
    """Resizes the shorter side to `size` and takes the square window at `shift` (0 left or top, 1 right or bottom)."""
    image = resize_shorter_side(image, size)
    top, left = (round(shift * (side - size)) for side in image.shape[-2:])
    return image[:, top : top + size, left : left + size]


def collate(samples: list) -> tuple[torch.Tensor, torch.Tensor, list[tuple[str, str]]]:
    """Stacks a batch; an image that could not be decoded is replaced by a readable one of the batch with its label.

    Returns:
        uint8 (b, 3, s, s), int64 (b,), and (path, reason) of every failure.
    """
    failures = [(path, reason) for image, _, path, reason in samples if image is None]
    readable = [(image, label) for image, label, _, _ in samples if image is not None]
    if not readable:
        return torch.empty(0), torch.empty(0, dtype=torch.int64), failures
    readable += [readable[i % len(readable)] for i in range(len(failures))]
    images, labels = zip(*readable, strict=True)
    return torch.stack(images), torch.tensor(labels), failures


def train_loader(
    places: Places, sampler: ClassSampler, image_size: int, num_workers: int, pin_memory: bool
) -> DataLoader:
    """Returns a loader of (images, labels, failures) that keeps its workers from epoch to epoch."""
    return DataLoader(
        TrainImages(places, image_size),
        batch_sampler=sampler,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        # A generator of its own: starting an epoch must not disturb the random state that resuming restores.
        generator=torch.Generator(),
        worker_init_fn=start_worker,
    )
