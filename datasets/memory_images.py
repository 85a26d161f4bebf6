"""Images that lie in memory, such as uploads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from datasets.decoding import ImageFiles, Size
from datasets.places import make_places


class MemoryImages(ImageFiles):
    """Images whose files' bytes or pixels are in memory; nothing is read from the disk."""

    def __init__(self, files: Sequence[bytes | torch.Tensor], shorter_side: Size = None) -> None:
        """Args:
        files: content of image files, or pixels, uint8 (3, h, w), that have their size already.
        shorter_side: as for `ImageFiles`.
        """
        names = pa.array([f"image {number}" for number in range(1, len(files) + 1)], pa.string())
        super().__init__(make_places(Path(), names), shorter_side)
        self.files = files

    def load(self, row: int) -> torch.Tensor:
        """Returns image `row` undecoded, uint8 (n,), or its pixels, uint8 (3, h, w)."""
        if isinstance(self.files[row], torch.Tensor):
            return self.files[row]
        return torch.from_numpy(np.frombuffer(self.files[row], np.uint8).copy())
