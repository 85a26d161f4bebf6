"""The class token of a vision transformer."""

import torch
from torch import nn

from model.aggregation.head import LinearHead


class FirstToken(nn.Module):
    """Takes the first of a sequence."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, n) to (b, c)."""
        return x[..., 0]


class ClassTokenAggregation(LinearHead):
    """The class token of a vision transformer (https://arxiv.org/abs/2010.11929, section 3.1).

    descriptor = L2( W token + b )
    """

    needs_class_token = True

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the head.

        Args:
            channels: number of channels of the token.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `channels` dimensions.
        """
        super().__init__([FirstToken()], channels, descriptor_dim)
