"""The augmentation of a training run: several augmentations, one after the other."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from augmentations import AUGMENTATIONS, DEFAULT
from augmentations.color_jitter import ColorJitter
from augmentations.random_resized_crop import RandomResizedCrop


class Augmentation(nn.Sequential):
    """Augmentations one after the other; by default colour jitter, then a random resized crop, as CosPlace trains."""

    def __init__(
        self,
        augmentations: Sequence[str] = DEFAULT,
        augmentation_options: Mapping[str, Mapping[str, int | float]] | None = None,
        brightness: float = 0.7,
        contrast: float = 0.7,
        saturation: float = 0.7,
        hue: float = 0.5,
        random_resized_crop: float = 0.5,
    ) -> None:
        """Args:
        augmentations: keys of AUGMENTATIONS, in the order in which they are applied.
        augmentation_options: keyword arguments of some of them that differ from the defaults.
        brightness, contrast, saturation, hue: strengths as in `ColorJitter`.
        random_resized_crop: crops have an area of at least 1 minus this share of the image.
        """
        own = {
            "color_jitter": lambda: ColorJitter(brightness, contrast, saturation, hue),
            "random_resized_crop": lambda: RandomResizedCrop(min_area=1 - random_resized_crop),
        }
        options = augmentation_options or {}
        super().__init__(
            *(own[name]() if name in own else AUGMENTATIONS[name](**options.get(name, {})) for name in augmentations)
        )

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 (b, 3, h, w) to augmented float32 (b, 3, h, w) between 0 and 1."""
        return super().forward(images.to(torch.float32, copy=True).mul_(1 / 255))
