"""Attention pooling."""

import torch
from torch import nn

from model.aggregation.head import LinearHead


class AttentionPooling(nn.Module):
    """Mean over positions, weighted by their softmax similarity to a learned query."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A query of zeros weighs all positions alike: training starts from the plain mean.
        self.query = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, h, w) to (b, c)."""
        x = x.flatten(2)
        weights = torch.softmax(self.query @ x / len(self.query) ** 0.5, dim=-1)
        return (x @ weights.unsqueeze(-1)).squeeze(-1)


class AttentionAggregation(LinearHead):
    """Attention pooling with one learned query q (https://arxiv.org/abs/1810.00825, section 3.2, one seed, one head).

    a = softmax over positions of (q . x / sqrt(channels))
    descriptor = L2( W (sum over positions of a x) + b )
    """

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the head.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        super().__init__([AttentionPooling(channels)], channels, descriptor_dim)
