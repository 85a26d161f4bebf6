"""RandAugment: a few operations drawn blindly."""

import torch

from augmentations.operations import Ranges, amounts, apply_operations
from augmentations.sometimes import Sometimes, require

SCALE = 30
RANGES: Ranges = {
    "identity": (0, 0), "auto_contrast": (0, 0), "equalize": (0, 0), "rotate": (0, 30), "solarize": (1, 0),
    "posterize": (8, 4), "color": (1, 1.9), "contrast": (1, 1.9), "brightness": (1, 1.9), "sharpness": (1, 1.9),
    "shear_x": (0, 0.3), "shear_y": (0, 0.3), "translate_x": (0, 150 / 331), "translate_y": (0, 150 / 331),
}  # fmt: skip
NAMES = list(RANGES)


class RandAugment(Sometimes):
    """RandAugment (https://arxiv.org/abs/1909.13719): num_ops of 14 operations one after the other, all equally strong.

    Each image draws its own, with replacement: identity, auto contrast, equalize, rotate, solarize, posterize, color,
    contrast, brightness, sharpness, shear and translate in x and y, with torchvision's ranges. Images are sampled
    bilinearly, and what comes from outside is reflected.
    """

    def __init__(self, *, num_ops: int = 2, magnitude: float = 9.0, p: float = 1.0) -> None:
        """Args:
        num_ops: operations an image, N in the paper
        magnitude: strength of all operations, M in the paper, 0 to 30
        p: probability of an image to be changed
        """
        super().__init__(p)
        require(f"randaugment.magnitude={magnitude:g}", magnitude <= SCALE, f"between 0 and {SCALE}")
        self.num_ops, self.magnitude = num_ops, magnitude

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        operations = torch.randint(len(NAMES), (count, self.num_ops))
        levels = torch.full((count, self.num_ops), self.magnitude / SCALE)
        return operations, amounts(NAMES, RANGES, operations, levels)

    def augment(self, images: torch.Tensor, operations: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
        for step in range(self.num_ops):
            images = apply_operations(images, NAMES, operations[:, step], amounts[:, step])
        return images
