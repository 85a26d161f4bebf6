"""Random gamma: another exposure; black and white do not change."""

import math

import torch

from augmentations.sometimes import Sometimes, column, uniform


class Gamma(Sometimes):
    """new = old^g, g log-uniform in [1 / (1 + strength), 1 + strength] (torchvision's adjust_gamma on batches)."""

    def __init__(self, *, strength: float = 0.5, p: float = 1.0) -> None:
        """Args:
        strength: the largest exponent is 1 plus this, the smallest its inverse
        p: probability that an image is changed
        """
        super().__init__(p)
        self.strength = strength

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor]:
        return (uniform(count, -math.log1p(self.strength), math.log1p(self.strength)).exp(),)

    def augment(self, images: torch.Tensor, gammas: torch.Tensor) -> torch.Tensor:
        return images.clamp_(min=0).pow_(column(gammas, images))
