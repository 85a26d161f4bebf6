"""Augmentations: whole batches on the device, every image with its own draw.

Adding one is a file here and a line in `Augmentation`. An augmentation is a module that maps float (b, 3, h, w)
between 0 and 1 to the same range, drawing from PyTorch's generator on the CPU: so a GPU never waits for a draw.
"""

import torch
from torch import nn

from augmentations.color_jitter import ColorJitter, LinearColorJitter
from augmentations.random_resized_crop import RandomResizedCrop

COLOR_JITTERS = {"exact": ColorJitter, "linear": LinearColorJitter}


class Augmentation(nn.Sequential):
    """Colour jitter, then a random resized crop, as CosPlace trains."""

    def __init__(
        self,
        brightness: float = 0.7,
        contrast: float = 0.7,
        saturation: float = 0.7,
        hue: float = 0.5,
        random_resized_crop: float = 0.5,
        color_jitter: str = "exact",
    ) -> None:
        """Args:
        brightness, contrast, saturation, hue: strengths as in `ColorJitter`.
        random_resized_crop: crops have an area of at least 1 minus this share of the image.
        color_jitter: "exact" or "linear" (one colour matrix an image, several times faster).
        """
        jitter = COLOR_JITTERS[color_jitter](brightness, contrast, saturation, hue)
        super().__init__(jitter, RandomResizedCrop(min_area=1 - random_resized_crop))

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 (b, 3, h, w) to augmented float32 (b, 3, h, w) between 0 and 1."""
        return super().forward(images * (1 / 255))
