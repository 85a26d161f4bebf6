"""Augmentations: whole batches on the device, every image with its own draw.

Adding one is a file here and a line in AUGMENTATIONS. An augmentation is a module that maps float (b, 3, h, w) between
0 and 1 to the same range, drawing from PyTorch's generator on the CPU: so a GPU never waits for a draw. Its
constructor's keyword-only parameters are its options on the command line, with the types, defaults and meanings that
stand in the signature and under `Args` (`commons/options.py` reads them there); `Sometimes` brings the probability.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from augmentations.augmix import AugMix
from augmentations.blur import Blur
from augmentations.color_jitter import ColorJitter, LinearColorJitter
from augmentations.erasing import Erasing
from augmentations.fog import Fog
from augmentations.gamma import Gamma
from augmentations.horizontal_flip import HorizontalFlip
from augmentations.jpeg import Jpeg
from augmentations.night import Night
from augmentations.perspective import Perspective
from augmentations.rain import Rain
from augmentations.randaugment import RandAugment
from augmentations.random_resized_crop import RandomResizedCrop
from augmentations.rotation import Rotation
from augmentations.warp import join_warps

COLOR_JITTERS = {"exact": ColorJitter, "linear": LinearColorJitter}
AUGMENTATIONS: dict[str, type[nn.Module]] = {
    "color_jitter": ColorJitter,
    "random_resized_crop": RandomResizedCrop,
    "perspective": Perspective,
    "rotation": Rotation,
    "horizontal_flip": HorizontalFlip,
    "blur": Blur,
    "gamma": Gamma,
    "erasing": Erasing,
    "randaugment": RandAugment,
    "augmix": AugMix,
    "night": Night,
    "rain": Rain,
    "fog": Fog,
    "jpeg": Jpeg,
}
DEFAULT = ("color_jitter", "random_resized_crop")
# The two of CosPlace have flags of their own instead of options.
FLAGS = {
    "color_jitter": ("brightness", "contrast", "saturation", "hue", "color_jitter"),
    "random_resized_crop": ("random_resized_crop",),
}


class Augmentation(nn.Sequential):
    """Augmentations one after the other; by default colour jitter, then a random resized crop, as CosPlace trains."""

    def __init__(
        self,
        brightness: float = 0.7,
        contrast: float = 0.7,
        saturation: float = 0.7,
        hue: float = 0.5,
        random_resized_crop: float = 0.5,
        color_jitter: str = "exact",
        names: Sequence[str] = DEFAULT,
        options: Mapping[str, Mapping[str, int | float]] | None = None,
    ) -> None:
        """Args:
        brightness, contrast, saturation, hue: strengths as in `ColorJitter`.
        random_resized_crop: crops have an area of at least 1 minus this share of the image.
        color_jitter: "exact" or "linear" (one colour matrix an image, several times faster).
        names: keys of AUGMENTATIONS, in the order of their work.
        options: for some of them, the keyword arguments that differ from the defaults.
        """
        own = {
            "color_jitter": lambda: COLOR_JITTERS[color_jitter](brightness, contrast, saturation, hue),
            "random_resized_crop": lambda: RandomResizedCrop(min_area=1 - random_resized_crop),
        }
        options = options or {}
        parts = [own[name]() if name in own else AUGMENTATIONS[name](**options.get(name, {})) for name in names]
        super().__init__(*join_warps(parts))

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 (b, 3, h, w) to augmented float32 (b, 3, h, w) between 0 and 1."""
        return super().forward(images.to(torch.float32, copy=True).mul_(1 / 255))
