"""Conv-AP."""

import torch
from torch import nn
from torch.nn import functional as F

from model.aggregation.head import check_dimension


class ConvAP(nn.Module):
    """Conv-AP: a 1x1 convolution, then means over the cells of a coarse grid (https://arxiv.org/abs/2210.10239).

        descriptor = L2( means over s1 x s2 cells of (W x + b) )

    It has out_channels * s1 * s2 dimensions. Tensors are named as in the published weights.
    """

    def __init__(
        self, channels: int, descriptor_dim: int = 0, *, out_channels: int = 512, s1: int = 2, s2: int = 2
    ) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: out_channels * s1 * s2, or 0.
            out_channels: outputs of the convolution.
            s1: rows of the grid.
            s2: columns of the grid.
        """
        super().__init__()
        self.descriptor_dim = out_channels * s1 * s2
        arithmetic = f"out_channels {out_channels} x s1 {s1} x s2 {s2}"
        check_dimension(descriptor_dim, self.descriptor_dim, arithmetic, "out_channels", descriptor_dim / (s1 * s2))
        self.channel_pool = nn.Conv2d(channels, out_channels, kernel_size=1)
        self.grid = (s1, s2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to unit (b, descriptor_dim)."""
        rows, columns = (_cells(size, cells, x) for size, cells in zip(x.shape[-2:], self.grid, strict=True))
        return F.normalize((rows @ self.channel_pool(x) @ columns.T).flatten(1), dim=1)


def _cells(size: int, cells: int, like: torch.Tensor) -> torch.Tensor:
    """Weights (cells, size) of adaptive pooling's means: cell i of n spans floor(i size / n) to ceil((i + 1) size / n).

    As a product, the pooling can be exported for every image size.
    """
    # Not arange, whose device a TorchScript file would keep.
    cell, position = (like.new_ones(n, dtype=torch.long).cumsum(0) - 1 for n in (cells, size))
    first, end = cell * size // cells, ((cell + 1) * size + cells - 1) // cells
    inside = (position >= first[:, None]) & (position < end[:, None])
    return inside.to(like.dtype) / (end - first)[:, None]
