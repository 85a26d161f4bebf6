"""Generalised mean pooling and the head of CosPlace."""

import torch
from torch import nn

from model.aggregation.head import L2Norm, LinearHead


class GeM(nn.Module):
    """Generalised mean over positions, (mean x^p)^(1/p), with p learned (https://arxiv.org/abs/1711.02512, eq. 3)."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * p)
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, h, w) to (b, c)."""
        return x.clamp(min=self.eps).pow(self.p).mean(dim=(2, 3)).pow(1.0 / self.p)


class GeMAggregation(LinearHead):
    """CosPlace's head: L2 along channels, GeM, linear layer, L2 (https://arxiv.org/abs/2204.02287, section 3.3).

        descriptor = L2( W (mean over positions of (x / |x|)^p)^(1/p) + b ), with p learned

    The positions in the sequence are those of the published weights, whose keys are `1.p`, `3.weight` and `3.bias`.
    """

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the head.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        super().__init__([L2Norm(), GeM(), nn.Flatten()], channels, descriptor_dim)
