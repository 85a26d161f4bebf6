"""Histogram matching."""

import torch
from torch import nn

LEVELS = 256


class HistogramMatching(nn.Module):
    """Histogram matching: each channel gets the histogram of the target image's.

    A value v becomes the smallest value t of which the target image has as large a share at or below it as the source
    image has at or below v: F_target^-1(F_source(v)) with the cumulative shares F
    (https://en.wikipedia.org/wiki/Histogram_matching).
    """

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Maps uint8 images (b, 3, h, w) and target images of the same shape to uint8 images."""
        values = images.flatten(2).long()
        # Counts instead of shares: all images have the same number of pixels, and whole numbers compare exactly.
        table = torch.searchsorted(_cumulative(targets.flatten(2).long()), _cumulative(values))
        return table.to(torch.uint8).gather(2, values).view_as(images)


def _cumulative(values: torch.Tensor) -> torch.Tensor:
    """Maps values from 0 to 255 (b, c, n) to how many are at or below each, (b, c, 256)."""
    counts = torch.zeros(*values.shape[:2], LEVELS, dtype=torch.int64, device=values.device)
    return counts.scatter_add_(2, values, torch.ones_like(values)).cumsum(dim=2)
