"""The tokens that stand for the whole image."""

import torch
from torch import nn
from torch.nn import functional as F


class AggregationTokens(nn.Module):
    """The backbone's aggregation tokens, concatenated, as in ImAge (https://arxiv.org/abs/2511.06024).

        descriptor = L2( W L2([t_1 ... t_8]) + b )

    Without the linear layer (W, b) it has 8 * channels dimensions. The backbone must have these tokens.

    Attributes:
        class_tokens: how many tokens stand for the image.
    """

    needs_class_token = True

    def __init__(self, channels: int, descriptor_dim: int = 512, *, tokens: int = 8) -> None:
        """Builds the linear layer.

        Args:
            channels: number of channels of the tokens.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has tokens * channels.
            tokens: number of aggregation tokens of the backbone.
        """
        super().__init__()
        self.class_tokens = tokens
        self.descriptor_dim = descriptor_dim or tokens * channels
        self.fc = nn.Linear(tokens * channels, descriptor_dim) if descriptor_dim else nn.Identity()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, tokens + n), those that stand for the image first, to unit (b, descriptor_dim)."""
        together = tokens[..., : self.class_tokens].transpose(1, 2).flatten(1)
        return F.normalize(self.fc(F.normalize(together, dim=1)), dim=1)
