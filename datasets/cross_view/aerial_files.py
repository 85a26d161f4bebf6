"""Aerial images of training pairs, read from files."""

import numpy as np
import torch

from commons.threads import in_threads
from datasets.decoding import ImageFiles
from datasets.places import Places
from datasets.unreadable import UnreadableImages

READERS = 16


class AerialFiles:
    """Reads the aerial images of a batch in threads, while the network waits.

    Attributes:
        device: device of the images.
    """

    def __init__(self, images: Places, size: int, device: torch.device) -> None:
        """Args:
        images: all aerial images.
        size: side in pixels that they are resized to.
        device: device of the training.
        """
        self.device = device
        self._files = ImageFiles(images, [size, size])
        self._unreadable = UnreadableImages(len(images))

    def read(self, rows: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        """Reads images; one that cannot be decoded is replaced by another of the batch.

        Args:
            rows: rows of the images, (b,).

        Returns:
            uint8 (b, 3, s, s) on the device, and which of the b images stands in each place, int64 (b,).

        Raises:
            PlacewiseError: if none of them, or less than 99 % of all images, can be decoded.
        """
        found = list(in_threads(self._read, rows, READERS))
        lost = np.array([isinstance(image, str) for image in found])
        there = np.flatnonzero(~lost)
        failures = [(str(self._files.places.path(int(rows[number]))), found[number]) for number in np.flatnonzero(lost)]
        self._unreadable.add_batch(failures, len(there))
        which = np.arange(len(found))
        which[lost] = there[np.arange(lost.sum()) % len(there)]
        images = torch.stack([found[number] for number in which])
        return images.to(self.device, non_blocking=True), which

    def _read(self, row: int) -> torch.Tensor | str:
        try:
            return self._files.read(int(row))
        except OSError as error:
            return str(error)
