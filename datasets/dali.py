"""Training batches whose JPEGs NVIDIA DALI decodes, resizes and crops: on a GPU, with nvJPEG; on a CPU, for tests.

The images, the square windows and all later augmentations are those of the usual loader, so a run draws the same
batches. Pixels differ: DALI decodes at full size and has an antialiasing filter of its own (docs/performance.md).
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from commons.errors import ArgumentError, first_line
from datasets.decoding import ImageFiles
from datasets.device_decoding import gpu_decodes, sample_jpegs, time_decoding
from datasets.train_dataset import Batch, Sample, Undecoded, collate, decoded_in_threads, entries_of

INSTALL = "pip install nvidia-dali-cuda130 (or nvidia-dali-cuda120)"
THREADS = 8


def has_dali() -> bool:
    """Whether the package is installed; it is not imported."""
    with suppress(ModuleNotFoundError, ValueError):
        return find_spec("nvidia.dali") is not None
    return False


class _Undecodable(RuntimeError):
    """DALI cannot decode an image of a batch, and does not say which."""


class DaliPipeline:
    """Decodes JPEGs, resizes their shorter side and takes the square windows that were drawn."""

    def __init__(self, size: int, batch_size: int, device: torch.device, threads: int) -> None:
        """Args:
        size: side of the squares in pixels.
        batch_size: most images at once.
        device: where to decode.
        threads: threads of the CPU; more than THREADS bring nothing.
        """
        self.size, self.device = size, device
        number = (torch.cuda.current_device() if device.index is None else device.index) if _is_cuda(device) else None
        threads = max(1, min(threads, THREADS))
        self._arguments = dict(batch_size=batch_size, num_threads=threads, device_id=number)
        self._pipeline = self._built()

    def _built(self) -> Any:
        from nvidia.dali import fn, pipeline_def, types

        @pipeline_def(prefetch_queue_depth=1, exec_dynamic=True, **self._arguments)
        def pipeline() -> Any:
            jpegs = fn.external_source(name="jpegs", dtype=types.UINT8, ndim=1)
            shift = fn.external_source(name="shifts", dtype=types.FLOAT, ndim=0)
            images = fn.decoders.image(jpegs, device="mixed" if _is_cuda(self.device) else "cpu", output_type=types.RGB)
            images = fn.resize(
                images, resize_shorter=self.size, interp_type=types.DALIInterpType.INTERP_LINEAR, antialias=True
            )
            return fn.crop(images, crop=(self.size, self.size), crop_pos_x=shift, crop_pos_y=shift)

        made = pipeline()
        made.build()
        return made

    def start(self, jpegs: Sequence[torch.Tensor], shifts: Sequence[float]) -> None:
        """Starts to decode a batch, which `finish` returns before the next one starts.

        Args:
            jpegs: contents of files that `gpu_decodes`, uint8 (n,) on the CPU.
            shifts: positions of the windows, as in `datasets.samplers.Draw`.
        """
        self._pipeline.feed_input("jpegs", [jpeg.numpy() for jpeg in jpegs])
        self._pipeline.feed_input("shifts", [np.float32(shift) for shift in shifts])
        self._pipeline.schedule_run()

    def finish(self) -> torch.Tensor:
        """Returns the squares of the batch, uint8 (n, 3, size, size) on the device.

        Raises:
            RuntimeError: if one of its images cannot be decoded.
        """
        from nvidia.dali.plugin.pytorch import feed_ndarray

        try:
            (found,) = self._pipeline.share_outputs()
            squares = torch.empty(len(found), self.size, self.size, 3, dtype=torch.uint8, device=self.device)
            feed_ndarray(found.as_tensor(), squares)
            self._pipeline.release_outputs()
        except RuntimeError as error:
            self.restart()
            raise _Undecodable(first_line(error)) from error
        return squares.permute(0, 3, 1, 2)

    def restart(self) -> None:
        """Forgets the batch that was started."""
        self._pipeline = self._built()


class DaliBatches:
    """Batches of a loader of undecoded images, decoded by DALI ahead of the training."""

    def __init__(self, loader: DataLoader, size: int, batch_size: int, device: torch.device, threads: int) -> None:
        """Args:
        loader: gives `Undecoded` batches.
        size: side of the squares in pixels.
        batch_size: most images in a batch.
        device: device of the training.
        threads: threads of the CPU that DALI uses.
        """
        self.loader, self.size = loader, size
        self.pipeline = DaliPipeline(size, batch_size, device, threads)
        self._started: tuple[Undecoded, list[int]] | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        """Yields uint8 (b, 3, s, s) on the device, labels int64 (b,), and (path, reason) of every failure.

        DALI works on the next batch while one is used.
        """
        if self._started is not None:  # the last epoch was left before its end
            self._started = None
            self.pipeline.restart()
        for batch in self.loader:
            before = None if self._started is None else self._finish()
            self._start(batch)
            if before is not None:
                yield before
        if self._started is not None:
            yield self._finish()

    def _start(self, batch: Undecoded) -> None:
        entries = entries_of(batch)
        rows = [
            row
            for row, (shape, sample) in enumerate(zip(batch.shapes, batch.samples, strict=True))
            if len(shape) == 1 and shape[0] and not sample.draw.around and gpu_decodes(entries[row])
        ]
        self._started = batch, rows
        if rows:
            self.pipeline.start([entries[row] for row in rows], [batch.samples[row].draw.shift for row in rows])

    def _finish(self) -> Batch:
        (batch, rows), self._started = self._started, None
        try:
            return self._collated(batch, rows, self.pipeline.finish() if rows else ())
        except _Undecodable:
            return self._collated(batch, (), ())

    def _collated(self, batch: Undecoded, rows: Sequence[int], squares: Sequence[torch.Tensor]) -> Batch:
        """Puts the squares of `rows` into a batch, and decodes all others as the usual loader does."""
        entries, done = entries_of(batch), dict(zip(rows, squares, strict=True))
        others = [row for row in range(len(batch.samples)) if row not in done]
        rest = Undecoded(
            torch.cat([entries[row] for row in others]) if others else torch.empty(0, dtype=torch.uint8),
            [batch.shapes[row] for row in others],
            [batch.samples[row] for row in others],
        )
        decoded = dict(zip(others, decoded_in_threads(rest, self.size), strict=True)) if others else {}
        device = self.pipeline.device
        samples = [
            batch.samples[row]._replace(image=done[row]) if row in done else _on(decoded[row], device)
            for row in range(len(batch.samples))
        ]
        return collate(samples)


def _on(sample: Sample, device: torch.device) -> Sample:
    return sample if sample.image is None else sample._replace(image=sample.image.to(device))


def _is_cuda(device: torch.device) -> bool:
    return device.type == "cuda"


def takes_dali(
    choice: str, source: ImageFiles, device: torch.device, num_workers: int, decoder: torch.device | None
) -> bool:
    """Returns whether DALI is to decode the training images.

    Args:
        choice: "torch", "dali", or "auto": on a GPU, what is faster on some images of `source`.
        source: the images to train with.
        device: device of the training.
        num_workers: decoding processes of the usual loader.
        decoder: decoder of the usual loader, as from `choose_decoder`.

    Raises:
        ArgumentError: if the choice is dali, and the package is not installed or does not work.
    """
    if choice == "torch" or (choice == "auto" and not (_is_cuda(device) and has_dali())):
        return False
    if not has_dali():
        raise ArgumentError("loader", f"dali needs a package that is not installed: {INSTALL}")
    try:
        seconds = time_dali(source, device, num_workers)
    except (ImportError, RuntimeError) as error:
        if choice == "dali":
            raise ArgumentError("loader", f"dali does not work here ({first_line(error)}); use torch") from error
        logging.info(f"DALI is not used: it does not work here ({first_line(error)})")
        return False
    if choice == "dali" or seconds is None:
        return choice == "dali"
    usual = time_decoding(source, device, num_workers)[decoder is not None]
    what = "used" if seconds < usual else "not used"
    logging.info(f"DALI is {what}: {seconds * 1000:.2f} ms per image, and {usual * 1000:.2f} without it")
    return seconds < usual


def time_dali(source: ImageFiles, device: torch.device, threads: int) -> float | None:
    """Returns seconds an image; None without a JPEG that DALI decodes."""
    jpegs = sample_jpegs(source)
    if not jpegs:
        return None
    pipeline = DaliPipeline(source.shorter_side, len(jpegs), device, threads)

    def work() -> float:
        started = time.perf_counter()
        pipeline.start(jpegs, [0.5] * len(jpegs))
        pipeline.finish()
        if _is_cuda(device):
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    work()  # the first time costs memory and kernels
    return work() / len(jpegs)
