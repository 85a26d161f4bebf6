"""Simulated night: darkness and street lamps."""

import torch
from torch.nn import functional as F

from augmentations.sometimes import Sometimes, column, draw_seeds, noise_generator, on, require, uniform

GAMMA = 2.2
LEAST = 0.7
LAMPS = 3
LAMP_LIGHT, GLARE, GLARE_SIZE = 0.6, 0.8, 0.02
COARSE = 16


class Night(Sometimes):
    """Turns day into night in linear light: a dark sky, lamps, their colour, and noise. The formulas are our own.

    new = (tint^d light)^(1/2.2) + noise d n, light = old^2.2 (1 - d sky)^2 (1 - d + 0.6 d pools) + 0.8 d glares. The
    share d of the light that is taken away is uniform in [0.7 darkness, darkness], n is normal. Three lamps have a
    place in the upper half and a power w uniform in [0, 1] each; at a distance of r heights of the image they add
    w exp(-r^2 / 2 s^2) to the pools of light, s uniform in [0.1, 0.35], and w exp(-r / 0.02) to the glares. The tint
    goes from white to orange. The sky is guessed: cells of a 16x16 grid, and pixels in them, that are bright and not
    yellow, in the upper part.
    """

    def __init__(self, *, darkness: float = 0.95, noise: float = 0.05, p: float = 0.3) -> None:
        """Args:
        darkness: largest share of the light that is taken away, at most 1
        noise: standard deviation of the noise in full darkness
        p: probability that an image is changed
        """
        super().__init__(p)
        require(f"night.darkness={darkness:g}", darkness <= 1, "between 0 and 1")
        self.darkness, self.noise = darkness, noise

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
        """Returns d (count,), tints (count, 3), lamps (count, 4, 3): x, y, spread in heights, power; and seeds."""
        dark = uniform(count, LEAST * self.darkness, self.darkness)
        orange = torch.rand(count, 1)
        tints = 1 - orange * torch.tensor([[0.0, 0.3, 0.7]])
        low = torch.tensor([0.0, 0.0, 0.1, 0.0]).view(1, 4, 1)
        high = torch.tensor([width / height, 0.5, 0.35, 1.0]).view(1, 4, 1)
        return dark, tints, low + torch.rand(count, 4, LAMPS) * (high - low), draw_seeds(count)

    def augment(
        self, images: torch.Tensor, dark: torch.Tensor, tints: torch.Tensor, lamps: torch.Tensor, seeds: torch.Tensor
    ) -> torch.Tensor:
        pools, glares = lamp_light(on(lamps, images.device), *images.shape[-2:])
        tints = on(tints ** dark.unsqueeze(1), images.device).view(-1, 3, 1, 1)
        d = column(dark, images)
        lit = (1 - d * sky(images)).square() * (1 - d + LAMP_LIGHT * d * pools)
        light = images.clamp(min=0).pow_(GAMMA).mul_(lit).add_(GLARE * d * glares).mul_(tints)
        image = light.clamp_(0, 1).pow_(1 / GAMMA)
        noise = torch.empty_like(image).normal_(generator=noise_generator(seeds, image.device))
        return image.addcmul_(noise, self.noise * d).clamp_(0, 1)


def lamp_light(lamps: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the pools of light of all lamps together and their glare, both (b, 1, height, width).

    Args:
        lamps: (b, 4, lamps): x, y and spread in heights of the image, power.
        height, width: of the images.
    """
    x, y, spread, power = lamps.unsqueeze(3).unbind(1)
    columns, rows = ((torch.arange(size, device=lamps.device) + 0.5) / height for size in (width, height))
    across, down = (columns - x).square(), (rows - y).square()
    wide, tall = (torch.exp(-squared / (2 * spread.square())) for squared in (across, down))
    pools = (power * tall).mT @ wide
    distances = (across.unsqueeze(2) + down.unsqueeze(3)).sqrt_()
    glares = distances.mul_(-1 / GLARE_SIZE).exp_().mul_(power.unsqueeze(3)).sum(1)
    return pools.unsqueeze(1), glares.unsqueeze(1)


def sky(images: torch.Tensor) -> torch.Tensor:
    """Guesses how much of each pixel is daylight sky, (b, 1, h, w) in [0, 1]."""
    cells = F.adaptive_avg_pool2d(images, COARSE)
    red, blue = cells[:, :1], cells[:, 2:]
    upper = (2 - 2.5 * torch.arange(COARSE, device=images.device) / COARSE).clamp(0, 1).view(1, 1, -1, 1)
    likely = (4 * (blue - 0.5)).clamp(0, 1) * (1 + 8 * (blue - red)).clamp(0, 1) * upper
    likely = F.interpolate(likely, images.shape[-2:], mode="bilinear", align_corners=False)
    return likely * (5 * (images[:, 2:] - 0.45)).clamp(0, 1)
