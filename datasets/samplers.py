"""Samplers that choose the images of a batch: classes first, then one or several images of each."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from commons.errors import ArgumentError
from datasets.grouping import Group


class Draw(NamedTuple):
    """One image of a batch, and which part of it.

    Attributes:
        row: row of the places table.
        label: number of its class.
        shift: position of the square window in an oblong image, from 0 (left or top) to below 1 (right or bottom).
        around: whether the image is a panorama; `shift` is then the middle of the window, which may cross the seam.
    """

    row: int
    label: int
    shift: float
    around: bool = False


class ClassSampler(Sampler[list[Draw]]):
    """Draws batches so that every class is equally likely, each with one or several of its images.

    Each pass visits the classes in a new order. All classes of a batch are of one group; each group's last incomplete
    batch is left out. With one group and one image a class this is how CosPlace draws. All draws follow from (seed,
    epoch, pass) alone: a run that is resumed, or spread over several processes, draws what a single one draws.
    """

    def __init__(
        self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1, images_per_class: int = 1
    ) -> None:
        """Args:
        batch_size: images in a batch over all processes together.
        iterations: batches in an epoch.
        seed: seed of the run.
        rank, processes: this process and how many share each batch.
        images_per_class: different images of each class in a batch; they are adjacent, and in one process.

        Raises:
            ArgumentError: if the batch cannot be shared equally.
        """
        if batch_size % images_per_class:
            raise ArgumentError(
                "batch_size",
                f"{batch_size} is not a multiple of {images_per_class} images per place: set it to "
                f"{batch_size // images_per_class * images_per_class or images_per_class}",
            )
        self.classes, self.images_per_class = batch_size // images_per_class, images_per_class
        if self.classes % processes:
            several = f" of {images_per_class} images per place" if images_per_class > 1 else ""
            raise ArgumentError(
                "batch_size",
                f"{batch_size}{several} cannot be shared by {processes} processes: make it a multiple"
                + (f" of {processes * images_per_class}" if several else ""),
            )
        self.batch_size, self.iterations, self.seed = batch_size, iterations, seed
        self.mine = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
        self.groups: list[Group] = []
        self.epoch = self.start = 0

    def set_epoch(self, groups: Sequence[Group], epoch: int, start: int = 0) -> None:
        """Chooses the groups and epoch to draw from, beginning at iteration `start`.

        Groups that cannot fill a batch are left out.

        Raises:
            ArgumentError: if no group can fill one batch, or a class has too few images.
        """
        self.groups = [group for group in groups if len(group) >= self.classes]
        if not self.groups:
            largest = max(groups, key=len)
            raise ArgumentError(
                "batch_size",
                f"{self.batch_size} needs {self.classes} classes, but the largest group, {largest.group_id}, has "
                f"{len(largest)}: lower `batch_size` to {len(largest) * self.images_per_class} or less, or lower `N`, "
                "`L` or `min_images_per_class`",
            )
        fewest = min(int(np.diff(group.offsets).min()) for group in self.groups)
        if fewest < self.images_per_class:
            raise ArgumentError(
                "min_images_per_class",
                f"a class has {fewest} images, fewer than the {self.images_per_class} that a batch takes of each: "
                f"raise it to {self.images_per_class}",
            )
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return self.iterations - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        assert self.groups, "set_epoch comes first"
        batches_a_pass = sum(len(group) // self.classes for group in self.groups)
        for iteration in range(self.start, self.iterations):
            pass_number, position = divmod(iteration, batches_a_pass)
            if position == 0 or iteration == self.start:
                images, labels, shifts, around = self._draw_pass(pass_number)
            batch = (column[position, self.mine].tolist() for column in (images, labels, shifts, around))
            yield [Draw(*draw) for draw in zip(*batch, strict=True)]

    def _draw_pass(self, pass_number: int) -> list[np.ndarray]:
        """Returns the columns of the draws of one pass, each (batches, batch_size)."""
        draw = np.random.default_rng([self.seed, self.epoch, pass_number])
        drawn = [self._draw_group(group, draw) for group in self.groups]
        columns = [np.concatenate(column) for column in zip(*drawn, strict=True)]
        if len(self.groups) > 1:
            order = draw.permutation(len(columns[0]))
            columns = [column[order] for column in columns]
        return columns

    def _draw_group(self, group: Group, draw: np.random.Generator) -> list[np.ndarray]:
        labels = draw.permutation(len(group))
        shape = (len(labels), self.images_per_class)
        entries = group.offsets[labels, None] + _different(draw.random(shape), np.diff(group.offsets)[labels])
        shifts = draw.random(shape) if group.centres is None else group.centres[entries]
        around = np.full(shape, group.centres is not None)
        whole = len(labels) // self.classes
        columns = (group.images[entries], np.broadcast_to(labels[:, None], shape), shifts, around)
        return [column[: whole * self.classes].reshape(whole, self.batch_size) for column in columns]


def _different(uniform: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Draws k different numbers below each size, every set equally likely.

    The i-th number is drawn from those that are left, then counted past the smaller ones that are taken.

    Args:
        uniform: (n, k) in [0, 1).
        sizes: (n,), at least k.

    Returns:
        (n, k) int64.
    """
    count = uniform.shape[1]
    picked = (uniform * (sizes[:, None] - np.arange(count))).astype(np.int64)
    for i in range(1, count):
        for taken in np.sort(picked[:, :i], axis=1).T:
            picked[:, i] += picked[:, i] >= taken
    return picked


class PairedSampler(Sampler[list[Draw]]):
    """Draws batches whose first half comes from one group and whose second half from another.

    Labels of the second group count on from those of the first. Each half is drawn as by a `ClassSampler` of its own.
    """

    def __init__(self, batch_size: int, iterations: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        """Args:
        batch_size, iterations, seed, rank, processes: as for `ClassSampler`.

        Raises:
            ArgumentError: if the batch has no two halves that can be shared equally.
        """
        if batch_size % (2 * processes):
            raise ArgumentError(
                "batch_size",
                f"{batch_size}: half of a batch are lateral and half frontal views; make it a multiple of "
                f"{2 * processes}",
            )
        # The second half draws from a seed of its own, which no run can have.
        seeds = (seed, seed + 2**32)
        self.halves = [ClassSampler(batch_size // 2, iterations, own, rank, processes) for own in seeds]
        self.first_labels = 0

    def set_epoch(self, groups: Sequence[Group], epoch: int, start: int = 0) -> None:
        """Chooses the two groups and the epoch to draw from, beginning at iteration `start`.

        Raises:
            ArgumentError: if a group cannot fill half a batch.
        """
        fewest = min(groups, key=len)
        if len(fewest) < self.halves[0].batch_size:
            raise ArgumentError(
                "batch_size",
                f"group {fewest.group_id} has {len(fewest)} classes, too few for half of `batch_size` "
                f"{2 * self.halves[0].batch_size}: lower it to {2 * len(fewest)} or less, or lower `N` or "
                "`min_images_per_class`",
            )
        for half, group in zip(self.halves, groups, strict=True):
            half.set_epoch([group], epoch, start)
        self.first_labels = len(groups[0])

    def __len__(self) -> int:
        return len(self.halves[0])

    def __iter__(self) -> Iterator[list[Draw]]:
        for first, second in zip(*self.halves, strict=True):
            yield first + [draw._replace(label=draw.label + self.first_labels) for draw in second]


class GivenBatches(Sampler[list[Draw]]):
    """Batches of images that are given for each epoch; labels are rows of images."""

    def __init__(self, seed: int, rank: int = 0, processes: int = 1, shifted: bool = True) -> None:
        """Args:
        seed: seed of the shifts.
        rank, processes: this process and how many share each batch.
        shifted: whether shifts are drawn; if not, they are 0.
        """
        self.seed, self.rank, self.processes, self.shifted = seed, rank, processes, shifted
        self.batches, self.epoch, self.start = np.zeros((0, 0), np.int64), 0, 0

    def set_epoch(self, batches: np.ndarray, epoch: int, start: int = 0) -> None:
        """Takes the batches of an epoch, rows of images (iterations, batch_size), beginning at iteration `start`."""
        self.batches, self.epoch, self.start = batches, epoch, start

    def __len__(self) -> int:
        return len(self.batches) - self.start

    def __iter__(self) -> Iterator[list[Draw]]:
        for iteration in range(self.start, len(self.batches)):
            rows = self.batches[iteration]
            shifts = np.random.default_rng([self.seed, self.epoch, iteration, 3]).random(len(rows))
            mine = (np.array_split(column, self.processes)[self.rank].tolist() for column in (rows, shifts))
            yield [Draw(row, row, shift if self.shifted else 0.0) for row, shift in zip(*mine, strict=True)]
