"""Extraction of descriptors from batches of images, also over several processes."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from accelerate import Accelerator

from commons.devices import autocast
from commons.errors import PlacewiseError

Batch = tuple[np.ndarray, torch.Tensor]


class ExtractionError(PlacewiseError):
    """The network gives no descriptors for a batch.

    Attributes:
        rows: rows of the images, which all have the same size.
    """

    def __init__(self, message: str, rows: np.ndarray, exit_code: int = 1) -> None:
        super().__init__(message)
        self.rows, self.exit_code = rows, exit_code


@torch.inference_mode()
def extract(
    network: torch.nn.Module, batches: Iterable[Batch], device: torch.device, precision: str = "fp32"
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Extracts the descriptors of image batches, one by one.

    Args:
        network: maps uint8 (b, 3, h, w) to float32 (b, d); is switched to evaluation mode.
        batches: (rows, uint8 images).
        device: where the network is.
        precision: "fp32", "bf16" or "fp16".

    Yields:
        (rows (b,), float32 descriptors (b, d)).

    Raises:
        ExtractionError: if images are too small for the network.
    """
    network.eval()
    ready = None
    for rows, images in batches:
        try:
            with autocast(device, precision):
                descriptors = network(images.to(device, non_blocking=True)).float()
        except PlacewiseError as error:
            raise ExtractionError(str(error), rows, error.exit_code) from error
        # The previous batch is copied while this one is computed, so a GPU does not wait for the copy.
        if ready is not None:
            yield ready[0], ready[1]()
        ready = rows, begin_copy(descriptors)
    if ready is not None:
        yield ready[0], ready[1]()


def begin_copy(descriptors: torch.Tensor) -> Callable[[], np.ndarray]:
    """Starts copying descriptors from their device; returns a function that waits for the copy and returns it."""
    if descriptors.device.type != "cuda":
        return descriptors.cpu().numpy
    copied, done = descriptors.to("cpu", non_blocking=True), torch.cuda.Event()
    done.record()

    def wait() -> np.ndarray:
        done.synchronize()
        return copied.numpy()

    return wait


def gather(
    extracted: Iterator[tuple[np.ndarray, np.ndarray]], accelerator: Accelerator, batch_size: int, dim: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the descriptors of all processes, one batch of each at a time, so that memory stays bounded.

    Processes may have different numbers of batches; those that have finished take part with empty ones.

    Yields:
        (rows, descriptors) of all processes, on every process.
    """
    if accelerator.num_processes == 1:
        yield from extracted
        return
    while True:
        rows, descriptors = next(extracted, (np.empty(0, np.int64), np.empty((0, dim), np.float32)))
        block = torch.zeros(batch_size, dim + 1, dtype=torch.float64)
        block[: len(rows), 0] = torch.from_numpy(rows) + 1.0
        block[: len(rows), 1:] = torch.from_numpy(descriptors)
        everyone = accelerator.gather(block.to(accelerator.device)).cpu()
        everyone = everyone[everyone[:, 0] > 0]
        if not len(everyone):
            return
        yield (everyone[:, 0] - 1).long().numpy(), everyone[:, 1:].float().numpy()
