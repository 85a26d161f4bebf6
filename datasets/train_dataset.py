"""Training batches: reading, decoding and stacking the images that a sampler draws."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from datasets.decoding import ImageFiles, decode, resize_shorter_side, start_worker
from datasets.device_decoding import decode_jpegs, gpu_decodes
from datasets.letterbox import Letterbox, is_panorama
from datasets.samplers import Draw

Batch = tuple[torch.Tensor, torch.Tensor, list[tuple[str, str]]]


class Sample(NamedTuple):
    """An image of a batch: a uint8 square (3, s, s), a file's bytes (n,), or None and the reason."""

    image: torch.Tensor | None
    draw: Draw
    path: str
    reason: str = ""


class Undecoded(NamedTuple):
    """A batch of images that are not decoded yet.

    Attributes:
        data: all images, concatenated, uint8 (n,). One tensor, because each takes a file descriptor between processes.
        shapes: shape of each image in `data`; (bytes,) of a file, (0,) of one that could not be read.
        samples: the batch without its images.
    """

    data: torch.Tensor
    shapes: list[tuple[int, ...]]
    samples: list[Sample]


class TrainImages(Dataset):
    """Reads the images that a sampler draws."""

    def __init__(self, source: ImageFiles, decoder: torch.device | None = None) -> None:
        """Args:
        source: the images, whose shorter side is that of the squares.
        decoder: which device decodes later what it can; None to decode here.
        """
        self.source, self.decoder = source, decoder

    def __getitem__(self, draw: Draw) -> Sample:
        """Returns what was drawn, as a uint8 square (3, size, size) or, undecoded, as a file's bytes (n,)."""
        path = str(self.source.places.path(draw.row))
        try:
            image = self.source.load(draw.row)
            if image.ndim == 1 and not self._decoded_later(image):
                image = decode(image, self.source.shorter_side)
        except OSError as error:
            return Sample(None, draw, path, str(error))
        return Sample(image if image.ndim == 1 else square(image, self.source.shorter_side, draw), draw, path)

    def _decoded_later(self, data: torch.Tensor) -> bool:
        return self.decoder is not None and (self.decoder.type == "cpu" or gpu_decodes(data))


def square(image: torch.Tensor, size: int | Letterbox, draw: Draw) -> torch.Tensor:
    """Resizes the shorter side to `size` and takes the square window that was drawn.

    In a Letterbox the whole image is kept; panoramas are turned by the share of a circle that was drawn.
    """
    image, shift = resize_shorter_side(image, size), draw.shift
    if isinstance(size, Letterbox):
        height, width = image.shape[-2:]
        return size.pad(image.roll(round(shift * width), 2) if is_panorama(height, width) else image)
    if draw.around:
        width = image.shape[-1]
        columns = (torch.arange(size) + round(shift * width - size / 2)) % width
        return image[:, :size].index_select(2, columns.to(image.device))
    top, left = (round(shift * (side - size)) for side in image.shape[-2:])
    return image[:, top : top + size, left : left + size]


def collate(samples: list[Sample]) -> Batch:
    """Stacks a batch of squares; one that could not be decoded is replaced by another of the batch with its label.

    Returns:
        uint8 (b, 3, s, s), int64 (b,), and (path, reason) of every failure.
    """
    failures = [(sample.path, sample.reason) for sample in samples if sample.image is None]
    readable = [(sample.image, sample.draw.label) for sample in samples if sample.image is not None]
    if not readable:
        return torch.empty(0), torch.empty(0, dtype=torch.int64), failures
    readable += [readable[i % len(readable)] for i in range(len(failures))]
    images, labels = zip(*readable, strict=True)
    # In a worker default_collate stacks straight into shared memory: one copy less, a seventh of its work.
    return default_collate(list(images)), torch.tensor(labels), failures


def join_undecoded(samples: list[Sample]) -> Undecoded:
    """Joins a batch of squares and encoded JPEGs without decoding."""
    images = [torch.empty(0, dtype=torch.uint8) if sample.image is None else sample.image for sample in samples]
    data = torch.cat([image.flatten() for image in images])
    return Undecoded(
        data, [tuple(image.shape) for image in images], [sample._replace(image=None) for sample in samples]
    )


def to_device(batch: Batch | Undecoded, size: int, device: torch.device) -> Batch:
    """Moves a batch to the device and decodes the images that the workers have not decoded.

    Args:
        batch: as from the loader.
        size: side of the squares in pixels.
        device: device of the training.

    Returns:
        As from `collate`.
    """
    if isinstance(batch, Undecoded):
        on_cpu = device.type == "cpu"
        batch = collate(decoded_in_threads(batch, size) if on_cpu else decoded_on_gpu(batch, size, device))
    images, labels, failures = batch
    return images.to(device, non_blocking=True), labels.to(device, non_blocking=True), failures


def decoded_in_threads(batch: Undecoded, size: int) -> list[Sample]:
    """Decodes all images at once, in as many threads as PyTorch computes with."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(partial(_decoded_alone, size), batch.samples, entries_of(batch), batch.shapes))


def _decoded_alone(size: int, sample: Sample, entry: torch.Tensor, shape: tuple[int, ...]) -> Sample:
    if sample.reason:
        return sample
    try:
        image = entry.view(shape) if len(shape) == 3 else square(decode(entry, size), size, sample.draw)
    except OSError as error:
        return sample._replace(reason=str(error))
    return sample._replace(image=image)


def entries_of(batch: Undecoded) -> tuple[torch.Tensor, ...]:
    """Returns the images of a batch, uint8 (n,) each."""
    return batch.data.split([math.prod(shape) for shape in batch.shapes])


def decoded_on_gpu(batch: Undecoded, size: int, device: torch.device) -> list[Sample]:
    """Decodes the JPEGs together with nvJPEG."""
    entries = entries_of(batch)
    jpegs = [number for number, shape in enumerate(batch.shapes) if len(shape) == 1 and shape[0]]
    images = dict(zip(jpegs, decode_jpegs([entries[number] for number in jpegs], device), strict=True))
    samples = list(batch.samples)
    for number, (sample, shape) in enumerate(zip(batch.samples, batch.shapes, strict=True)):
        image = images.get(number)
        if isinstance(image, str):
            samples[number] = sample._replace(reason=image)
        elif image is not None:
            samples[number] = sample._replace(image=square(image, size, sample.draw))
        elif len(shape) == 3:
            samples[number] = sample._replace(image=entries[number].view(shape).to(device, non_blocking=True))
    return samples


def train_loader(
    source: ImageFiles,
    sampler: Sampler[list[Draw]],
    num_workers: int,
    pin_memory: bool,
    decoder: torch.device | None = None,
) -> DataLoader:
    """Returns a loader that keeps its workers from epoch to epoch.

    Args:
        source: the images, whose shorter side is that of the squares.
        sampler: draws the batches.
        num_workers: processes that read and, without `decoder`, decode.
        pin_memory: whether batches go into page-locked memory.
        decoder: the device on which `to_device` is to decode them: batches are `Undecoded`; None for (images, labels,
            failures).
    """
    return DataLoader(
        TrainImages(source, decoder),
        batch_sampler=sampler,
        num_workers=num_workers,
        collate_fn=join_undecoded if decoder else collate,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        # A generator of its own: starting an epoch must not disturb the random state that resuming restores.
        generator=torch.Generator(),
        worker_init_fn=start_worker,
    )
