"""Random rain: streaks in front of a paler scene."""

import torch
from torch.nn import functional as F

from augmentations.color_jitter import luma
from augmentations.sometimes import Sometimes, column, draw_seeds, noise_generator, on, uniform
from augmentations.warp import rotations, warp

SLANT = 20.0
DROPS = 0.008
STREAK = 1 / 18
LIGHT = 0.85


class Rain(Sometimes):
    """Streaks as in photographs of rain (Garg and Nayar, Vision and Rain, 2007: motion blur of drops), and wet air.

    new = (1 - s) veil(old) + 0.85 s. The streaks s are white noise, of which a share of 0.8 % times amount is a drop,
    smeared over an eighteenth of the height and turned by an angle uniform in [-20, 20] degrees. The veil takes up to 40 %
    of the colour and a fifth of the contrast away. The amount is uniform in [0, amount].
    """

    def __init__(self, *, amount: float = 1.0, p: float = 0.3) -> None:
        """Args:
        amount: largest amount; 0 is none, 1 a downpour
        p: probability of an image to be rained on
        """
        super().__init__(p)
        self.amount = amount

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
        turns = rotations(uniform(count, -SLANT, SLANT), height, width)
        return uniform(count, 0, self.amount), turns, draw_seeds(count)

    def augment(
        self, images: torch.Tensor, amounts: torch.Tensor, turns: torch.Tensor, seeds: torch.Tensor
    ) -> torch.Tensor:
        amount = column(amounts, images)
        streaks = draw_streaks(images, amount, turns, noise_generator(seeds, images.device))
        gray = luma(images)
        veiled = torch.lerp(images, gray, 0.4 * amount.clamp(max=1))
        veiled = torch.lerp(veiled, gray.mean((2, 3), keepdim=True), 0.2 * amount.clamp(max=1))
        return torch.lerp(veiled, veiled.new_tensor(LIGHT), streaks).clamp_(0, 1)


def draw_streaks(
    images: torch.Tensor, amount: torch.Tensor, turns: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Draws how much of each pixel is rain, float (b, 1, h, w) in [0, 1]."""
    count, _, height, width = images.shape
    noise = torch.rand(count, 1, height, width, generator=generator, device=images.device)
    length = max(3, round(height * STREAK) | 1)
    drops = (noise < DROPS * amount).float()
    smeared = F.avg_pool2d(drops, (length, 1), stride=1, padding=(length // 2, 0)) * length
    return warp(smeared.clamp_(0, 1), turns).mul_(0.35)
