"""Photos of any shape in a box of one size, whole and with black borders."""

from typing import NamedTuple

import torch

PANORAMA = 0.02  # how far the ratio of width and height may be from 2, as a share


class Letterbox(NamedTuple):
    """A size of images, into which photos are fitted with their aspect ratio: a kind of `datasets.decoding.Size`."""

    height: int
    width: int

    def fitted(self, height: int, width: int) -> list[int]:
        """Returns the height and width that an image of some height and width gets."""
        scale = min(self.height / height, self.width / width)
        return [min(max(round(side * scale), 1), most) for side, most in zip((height, width), self, strict=True)]

    def pad(self, image: torch.Tensor) -> torch.Tensor:
        """Returns a fitted image (3, h, w) in the middle of a black one, (3, height, width)."""
        height, width = image.shape[-2:]
        if (height, width) == tuple(self):
            return image
        top, left = (self.height - height) // 2, (self.width - width) // 2
        padded = image.new_zeros(3, *self)
        padded[:, top : top + height, left : left + width] = image
        return padded


def is_panorama(height: int, width: int) -> bool:
    """Whether an image is twice as wide as high, as a panorama of the whole sphere is."""
    return abs(width / (2 * height) - 1) <= PANORAMA


def letterbox_of(image_size: int | list[int]) -> Letterbox:
    """Returns the box of a setting: a side, or height and width."""
    return Letterbox(image_size, image_size) if isinstance(image_size, int) else Letterbox(*image_size)
