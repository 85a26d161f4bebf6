"""Image files to uint8 tensors."""

import logging
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.io import ImageReadMode, decode_image, read_file
from torchvision.transforms.v2 import functional as F

from commons.errors import PlacewiseError
from commons.signals import leave_signals_to_parent

TOLERATED_SHARE = 0.01


def read_image(path: str | Path) -> torch.Tensor:
    """Decodes an image file, turned upright after its EXIF orientation.

    Returns:
        uint8 RGB tensor of shape (3, height, width).

    Raises:
        OSError: if the file is missing or cannot be decoded.
    """
    try:
        image = decode_image(read_file(str(path)), ImageReadMode.RGB, apply_exif_orientation=True)
        return image if image.dtype == torch.uint8 else (image.float() / 257).round().to(torch.uint8)
    except RuntimeError:
        # Pillow knows rarer variants (CMYK, 16 bit, unusual WebP) and says better what is wrong.
        try:
            with Image.open(path) as image:
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (SyntaxError, ValueError, TypeError, KeyError, struct.error, Image.DecompressionBombError) as error:
            raise OSError(str(error)) from error
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def resize_shorter_side(image: torch.Tensor, size: int) -> torch.Tensor:
    """Resizes (3, h, w) with antialiasing so that its shorter side is `size`, keeping the aspect ratio."""
    height, width = image.shape[-2:]
    if min(height, width) == size:
        return image
    scale = size / min(height, width)
    target = [max(size, round(height * scale)), max(size, round(width * scale))]
    return F.resize(image, target, antialias=True)


def start_worker(worker: int) -> None:
    """Start-up of a loader's worker: the workers are the parallelism, threads inside them only compete."""
    torch.set_num_threads(1)
    leave_signals_to_parent()


class UnreadableImages:
    """Counts images that could not be decoded: one warning a file, and an error above 1 % of the set."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.paths: set[str] = set()

    def add(self, path: str, reason: str) -> None:
        """Notes one failure.

        Raises:
            PlacewiseError: if more than 1 % of the images have failed.
        """
        if path in self.paths:
            return
        self.paths.add(path)
        logging.warning(f"skipped {path}: cannot be decoded ({reason})")
        if len(self.paths) > TOLERATED_SHARE * self.total:
            raise PlacewiseError(
                f"{len(self.paths)} of {self.total} images cannot be decoded, more than {TOLERATED_SHARE:.0%}: "
                f"the data is damaged, download it again or remove the files (last: {path}: {reason})"
            )
