"""Random blur: out of focus, or a smaller camera."""

import math

import torch
from torch.nn import functional as F

from augmentations.sometimes import Sometimes, on, uniform

LEAST = 0.1


class Blur(Sometimes):
    """Gaussian blur as in SimCLR (https://arxiv.org/abs/2002.05709): sigma uniform in [0.1, sigma] pixels.

    new = old * k, k(x) ~ exp(-x^2 / (2 sigma^2)) in both directions, cut at three times the largest sigma; borders are
    reflected.
    """

    def __init__(self, *, sigma: float = 2.0, p: float = 0.5) -> None:
        """Args:
        sigma: largest standard deviation in pixels of the training image
        p: probability of an image to be blurred
        """
        super().__init__(p)
        self.sigma = sigma

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor]:
        return (uniform(count, min(LEAST, self.sigma), self.sigma),)

    def augment(self, images: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
        return gaussian_blur(images, sigmas, math.ceil(3 * self.sigma))


def gaussian_blur(images: torch.Tensor, sigmas: torch.Tensor, radius: int) -> torch.Tensor:
    """Blurs each of (b, c, h, w) with its own standard deviation (b,) in pixels, and a kernel of 2 radius + 1.

    Weighted sums of shifted images, because a CPU takes several times as long for a grouped convolution.
    """
    radius = min(radius, min(images.shape[-2:]) - 1)
    offsets = torch.arange(-radius, radius + 1)
    kernels = torch.exp(-0.5 * (offsets / sigmas.clamp(min=1e-3).unsqueeze(1)).square())
    kernels = on(kernels / kernels.sum(1, keepdim=True), images.device)
    for axis, padding in ((2, [0, 0, radius, radius]), (3, [radius, radius, 0, 0])):
        padded, images = F.pad(images, padding, mode="reflect"), torch.zeros_like(images)
        for shift, weights in enumerate(kernels.unbind(1)):
            images.addcmul_(padded.narrow(axis, shift, images.shape[axis]), weights.view(-1, 1, 1, 1))
    return images.clamp_(0, 1)
