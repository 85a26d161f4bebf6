"""Multi-head spatial softmax."""

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError


class SpatialSoftmax(nn.Module):
    """Multi-head spatial softmax of statewide visual geolocalization (https://arxiv.org/abs/2409.16763).

    Each head h weighs all positions p by a softmax of its own, and has its own part of the descriptor. With
    x' = LayerNorm(x):

        a_hp = softmax over p of (u_h . x'_p)
        descriptor = L2( concatenation over h of (sum over p of a_hp (V_h x'_p + b_h)) )

    V_h is applied after the sum, which gives the same for less work. Several maps of one place, such as the levels of
    an aerial pyramid, can share one softmax: their positions are those of one map.
    """

    over_levels = True

    def __init__(self, channels: int, descriptor_dim: int = 1024, *, heads: int = 64) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: dimension of all heads together; 0 for no V, the descriptor then has `channels` dimensions.
            heads: number of heads, which divides the dimension.
        """
        super().__init__()
        self.descriptor_dim = descriptor_dim or channels
        if heads < 1 or self.descriptor_dim % heads:
            words = f"heads={heads} does not divide {self.descriptor_dim} dimensions into equal parts"
            raise ArgumentError("aggregation_options", words)
        self.heads, self.has_values = heads, bool(descriptor_dim)
        self.norm = nn.LayerNorm(channels, eps=1e-5)
        self.attention = nn.Linear(channels, heads, bias=False)
        if self.has_values:
            self.value = nn.Linear(channels, descriptor_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to (b, descriptor_dim) of unit length."""
        x = self.norm(x.flatten(2).transpose(1, 2))
        weights = self.attention(x).softmax(dim=1)
        part = self.descriptor_dim // self.heads
        if self.has_values:
            pooled = weights.transpose(1, 2) @ x  # (b, heads, channels)
            matrix = self.value.weight.view(self.heads, part, -1)
            found = torch.einsum("bhc,hdc->bhd", pooled, matrix) + self.value.bias.view(self.heads, part)
        else:
            found = torch.einsum("bphd,bph->bhd", x.unflatten(2, (self.heads, part)), weights)
        return F.normalize(found.flatten(1), dim=1)
