"""Regional maximum activations of convolutions."""

import torch
from torch import nn
from torch.nn import functional as F

from model.aggregation.head import L2Norm, LinearHead

SCALES = 3
OVERLAP = 0.4


class RegionalMax(nn.Module):
    """Sum of the L2-normalised maxima of square regions on a grid at three scales."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, h, w) to (b, c)."""
        height, width = x.shape[-2:]
        total = x.new_zeros(x.shape[:2])
        for top, left, side in regions(height, width):
            total = total + F.normalize(x[..., top : top + side, left : left + side].amax(dim=(2, 3)), dim=1)
        return total


def regions(height: int, width: int) -> list[tuple[int, int, int]]:
    """Returns (top, left, side) of the paper's regions, section 3.2.

    At scale l they are floor(2 min(h, w) / (l + 1)) wide, l of them along the shorter side and l + m - 1 along the
    longer one, spread evenly; m is the number of squares whose overlap at scale 1 comes nearest to 40 %.
    """
    shorter, longer = sorted((height, width))
    extra = 0
    if longer > shorter:
        overlaps = {m: 1 - (longer - shorter) / ((m - 1) * shorter) for m in range(2, 8)}
        # Rounded, so that of two that are equally near the fewer squares win.
        extra = min(overlaps, key=lambda m: round(abs(overlaps[m] - OVERLAP), 9)) - 1
    found = []
    for scale in range(1, SCALES + 1):
        side = 2 * shorter // (scale + 1)
        if side:
            tops = _spread(height - side, scale + (extra if height > width else 0))
            lefts = _spread(width - side, scale + (extra if width > height else 0))
            found += [(top, left, side) for top in tops for left in lefts]
    return found


def _spread(room: int, count: int) -> list[int]:
    return [room * number // max(1, count - 1) for number in range(count)]


class RMACAggregation(LinearHead):
    """R-MAC: maxima of square regions at three scales (https://arxiv.org/abs/1511.05879, section 3.2), not whitened.

    descriptor = L2( W L2( sum over regions r of L2(maximum over r of x) ) + b )
    """

    not_exportable = "its regions are laid out by Python, anew for every image size"

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the head.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        super().__init__([RegionalMax(), L2Norm()], channels, descriptor_dim)
