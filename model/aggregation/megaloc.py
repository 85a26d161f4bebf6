"""MegaLoc's head."""

import torch
from torch import nn
from torch.nn import functional as F

from model.aggregation.salad import SALAD


class MegaLoc(nn.Module):
    """MegaLoc's head: SALAD, then a linear layer (https://arxiv.org/abs/2502.17237).

        descriptor = L2( W SALAD(tokens) + b )

    The published one has 8448 dimensions of 64 clusters' 256 and a token's 256. Tensors are named as in its weights.
    """

    needs_class_token = True

    def __init__(
        self,
        channels: int,
        descriptor_dim: int = 8448,
        *,
        clusters: int = 64,
        cluster_dim: int = 256,
        token_dim: int = 256,
        dropout: float = 0.3,
    ) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the tokens.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor is then SALAD's.
            clusters: number of clusters, fewer than positions of the map.
            cluster_dim: dimension of each cluster's vector.
            token_dim: dimension that the class token is mapped to.
            dropout: share of hidden values that training drops.
        """
        super().__init__()
        options = {"clusters": clusters, "cluster_dim": cluster_dim, "token_dim": token_dim, "dropout": dropout}
        self.agg = SALAD(channels, **options)
        self.descriptor_dim = descriptor_dim or self.agg.descriptor_dim
        self.linear = nn.Linear(self.agg.descriptor_dim, descriptor_dim) if descriptor_dim else nn.Identity()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, 1 + n), the class token first, to unit (b, descriptor_dim).

        Raises:
            ArgumentError: if there are no more positions than clusters.
        """
        return F.normalize(self.linear(self.agg(tokens)), dim=1)
