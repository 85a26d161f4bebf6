"""Augmentations of torchvision, which augments image by image: those that kornia lacks or draws once for a batch."""

import torch
from torch import nn
from torchvision.transforms import v2

from augmentations.sometimes import FromLibrary, require

BILINEAR = v2.InterpolationMode.BILINEAR


class ImageByImage(FromLibrary):
    """A transform of torchvision, called for each image."""

    def __init__(self, p: float, transform: nn.Module) -> None:
        super().__init__(p)
        self.transform = transform

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.transform(image) for image in images]).clamp_(0, 1)


class RandAugment(ImageByImage):
    """RandAugment (https://arxiv.org/abs/1909.13719): num_ops of 14 operations, all equally strong (torchvision's).

    Each image draws its own operations, with replacement: identity, auto contrast, equalize, rotate, solarize,
    posterize, color, contrast, brightness, sharpness, shear and translate in x and y. Images are sampled bilinearly;
    what comes from outside is black, as in the trainings that use it (MixVPR, SALAD, BoQ).
    """

    def __init__(self, *, num_ops: int = 2, magnitude: int = 9, p: float = 1.0) -> None:
        """Args:
        num_ops: operations for each image, N in the paper
        magnitude: strength of all operations, M in the paper, at most 30
        p: probability that an image is changed
        """
        require(f"randaugment.magnitude={magnitude:g}", magnitude <= 30, "between 1 and 30")
        super().__init__(p, v2.RandAugment(num_ops, magnitude, interpolation=BILINEAR))


class AugMix(ImageByImage):
    """AugMix (https://arxiv.org/abs/1912.02781) without its Jensen-Shannon loss (torchvision's).

    new = m old + (1 - m) sum_i w_i chain_i(old), w ~ Dirichlet(alpha, ..., alpha), m ~ Beta(alpha, alpha). A chain has
    one to three of the paper's nine operations (auto contrast, equalize, posterize, rotate, solarize, shear and
    translate in x and y), each with a strength drawn from 0, 1, ..., severity - 1 ninths of its range. What comes from
    outside of the image is black.
    """

    def __init__(self, *, severity: int = 3, width: int = 3, alpha: float = 1.0, p: float = 1.0) -> None:
        """Args:
        severity: number of strengths to draw from, at most 10
        width: number of chains
        alpha: parameter of the Dirichlet and Beta distributions, above 0; the larger, the more even the mixture
        p: probability that an image is changed
        """
        require(f"augmix.severity={severity:g}", severity <= 10, "between 1 and 10")
        require(f"augmix.alpha={alpha:g}", alpha > 0, "above 0")
        super().__init__(p, v2.AugMix(severity, width, alpha=alpha, all_ops=False, interpolation=BILINEAR))
