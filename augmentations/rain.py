"""Random rain: streaks in front of a paler scene."""

import torch
from torch.nn import functional as F

from augmentations.color_jitter import luma
from augmentations.sometimes import Sometimes, column, draw_seeds, noise_generator, require, uniform
from augmentations.warp import rotations, warp

SLANT = 20.0
DROPS = 0.008
STREAK = 1 / 18
LIGHT, OPACITY = 0.85, 0.35


class Rain(Sometimes):
    """Streaks, which are drops blurred by their motion (Garg and Nayar, Vision and Rain, IJCV 2007), and wet air.

    new = (1 - s) veil(old) + 0.85 s, with a uniform in [0, amount]. The streaks s are white noise of which a share of
    0.008 a are drops, smeared over an eighteenth of the height, turned by an angle uniform in [-20, 20] degrees and
    0.35 opaque. The veil is a blend with the grey image by 0.4 a, then with its mean by 0.2 a. The numbers are our own.
    """

    def __init__(self, *, amount: float = 1.0, p: float = 0.3) -> None:
        """Args:
        amount: largest amount, at most 1, a downpour
        p: probability of an image to be rained on
        """
        super().__init__(p)
        require(f"rain.amount={amount:g}", amount <= 1, "between 0 and 1")
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
        veiled = torch.lerp(images, gray, 0.4 * amount)
        veiled = torch.lerp(veiled, gray.mean((2, 3), keepdim=True), 0.2 * amount)
        return veiled.addcmul_(streaks, LIGHT - veiled).clamp_(0, 1)


def draw_streaks(
    images: torch.Tensor, amount: torch.Tensor, turns: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Draws how much of each pixel is rain, float (b, 1, h, w) in [0, 1]."""
    count, _, height, width = images.shape
    noise = torch.rand(count, 1, height, width, generator=generator, device=images.device)
    drops = (noise < DROPS * amount).float()
    half = max(1, round(height * STREAK / 2))
    above = F.pad(drops, (0, 0, half + 1, half)).cumsum(2)  # drops above each row, so that smearing is a difference
    smeared = above[:, :, 2 * half + 1 :] - above[:, :, : -2 * half - 1]
    return warp(smeared.clamp_(0, 1), turns).mul_(OPACITY)
