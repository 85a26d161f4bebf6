"""Barlow Twins."""

import torch
from torch import nn
from torch.nn import functional as F

from losses.self_supervised.projector import Projector


class BarlowTwins(nn.Module):
    """Barlow Twins: the correlation between both views becomes the identity (https://arxiv.org/abs/2103.03230, eq. 1).

    With the projections z, z' (n, d) of both views of n images, each component standardised over the batch, and
    c = z^T z' / n:

        loss = sum over i of (1 - c_ii)^2 + redundancy * sum over i != j of c_ij^2
    """

    def __init__(self, descriptor_dim: int, *, redundancy: float = 0.0051, width: int = 2048, layers: int = 3) -> None:
        """Builds the projector.

        Args:
            descriptor_dim: dimension of the descriptors.
            redundancy: weight of the correlations between components.
            width: width of all layers of the projector; the paper's is 8192, which has 15 times the weights.
            layers: linear layers of the projector.
        """
        super().__init__()
        self.projector = Projector(descriptor_dim, *[width] * layers)
        self.redundancy = redundancy

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Maps the descriptors (n, descriptor_dim) of both views to the loss."""
        z, other = (F.batch_norm(self.projector(view), None, None, training=True) for view in (first, second))
        correlation = z.T @ other / len(z)
        diagonal = correlation.diagonal()
        off_diagonal = correlation.square().sum() - diagonal.square().sum()
        return (1 - diagonal).square().sum() + self.redundancy * off_diagonal
