"""MixVPR."""

import torch
from torch import nn
from torch.nn import functional as F

from model.aggregation.head import check_dimension


class FeatureMixer(nn.Module):
    """A residual perceptron over positions, the same for every channel: y = x + W2 relu(W1 norm(x))."""

    def __init__(self, positions: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = max(1, int(positions * mlp_ratio))
        self.mix = nn.Sequential(
            nn.LayerNorm(positions), nn.Linear(positions, hidden), nn.ReLU(), nn.Linear(hidden, positions)
        )
        for linear in (self.mix[1], self.mix[3]):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, positions) to the same shape."""
        return x + self.mix(x)


class MixVPR(nn.Module):
    """MixVPR: perceptrons over positions, then projections of channels and of positions (https://arxiv.org/abs/2303.02190).

        X = channels x grid^2 positions; mix_depth times: X = X + W2 relu(W1 layernorm(X))
        descriptor = L2( flatten( W_channels X W_rows ) )

    It has out_channels * out_rows dimensions. The perceptrons are made for a map of grid x grid positions: a map of
    another size, from images of another size or shape, is resampled to it (bilinear, antialiased); one of that size
    stays as it is. Tensors are named as in the published weights, made for images of 320x320 and a grid of 20.
    """

    def __init__(
        self,
        channels: int,
        descriptor_dim: int = 0,
        *,
        out_channels: int = 1024,
        out_rows: int = 4,
        mix_depth: int = 4,
        mlp_ratio: float = 1.0,
        grid: int = 20,
    ) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: out_channels * out_rows, or 0.
            out_channels: channels are projected to this many.
            out_rows: positions are projected to this many.
            mix_depth: number of perceptrons.
            mlp_ratio: width of their hidden layer, in positions.
            grid: side of the map that they are made for.
        """
        super().__init__()
        self.descriptor_dim = out_channels * out_rows
        arithmetic = f"out_channels {out_channels} x out_rows {out_rows}"
        check_dimension(descriptor_dim, self.descriptor_dim, arithmetic, "out_channels", descriptor_dim / out_rows)
        self.grid = (grid, grid)
        self.mix = nn.Sequential(*(FeatureMixer(grid * grid, mlp_ratio) for _ in range(mix_depth)))
        self.channel_proj = nn.Linear(channels, out_channels)
        self.row_proj = nn.Linear(grid * grid, out_rows)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to unit (b, descriptor_dim)."""
        if x.shape[-2:] != self.grid:
            x = F.interpolate(x, size=self.grid, mode="bilinear", antialias=True)
        x = self.mix(x.flatten(2))
        x = self.channel_proj(x.transpose(1, 2)).transpose(1, 2)
        return F.normalize(self.row_proj(x).flatten(1), dim=1)
