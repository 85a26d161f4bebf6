"""CORAL."""

import torch
from torch import nn


class Coral(nn.Module):
    """Deep CORAL: both domains get the same covariance (https://arxiv.org/abs/1607.01719, eq. 1 to 3).

        loss = |C_source - C_target|_F^2 / (4 d^2)

    with the covariances C of the descriptors times sqrt(d), whose components are of the order 1: d^2 cancels out, and
    the loss of batches of n images is at most (n / (n - 1))^2 / 2 for any dimension.
    """

    def __init__(self, descriptor_dim: int) -> None:
        """Builds nothing: there are no parameters."""
        super().__init__()

    def forward(self, source: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
        """Maps unit descriptors (n, d) and (m, d) to the loss; `progress` is not used."""
        # |A^T A - B^T B|^2 = |A A^T|^2 + |B B^T|^2 - 2 |A B^T|^2 needs no (d, d) matrix.
        source, target = ((x - x.mean(dim=0)) / (len(x) - 1) ** 0.5 for x in (source, target))
        squares = (source @ source.T).square().sum() + (target @ target.T).square().sum()
        return (squares - 2 * (source @ target.T).square().sum()) / 4
