"""Generalised mean pooling and the head of CosPlace."""

import torch
from torch import nn
from torch.nn import functional as F


class L2Norm(nn.Module):
    """Divides by the Euclidean norm along dimension 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(x, p=2.0, dim=1)


class GeM(nn.Module):
    """Generalised mean over positions, (mean x^p)^(1/p), with p learned (https://arxiv.org/abs/1711.02512, eq. 3)."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * p)
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, h, w) to (b, c)."""
        return x.clamp(min=self.eps).pow(self.p).mean(dim=(2, 3)).pow(1.0 / self.p)


class GeMAggregation(nn.Sequential):
    """CosPlace's head: L2 along channels, GeM, linear layer, L2 (https://arxiv.org/abs/2204.02287, section 3.3).

    The positions in the sequence are those of the published weights, whose keys are `1.p`, `3.weight` and `3.bias`.
    """

    def __init__(self, channels: int, descriptor_dim: int) -> None:
        """Args:
        channels: of the feature map.
        descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        fc = nn.Linear(channels, descriptor_dim) if descriptor_dim else nn.Identity()
        super().__init__(L2Norm(), GeM(), nn.Flatten(), fc, L2Norm())

    @property
    def pooling(self) -> nn.Sequential:
        """The layers before the linear one: (b, channels, h, w) to (b, channels)."""
        return nn.Sequential(*list(self)[:3])

    @property
    def fc(self) -> nn.Linear:
        """The linear layer."""
        return self[3]
