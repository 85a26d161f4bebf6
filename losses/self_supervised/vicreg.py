"""VICReg."""

import torch
from pytorch_metric_learning.losses import VICRegLoss
from torch import nn

from losses.self_supervised.projector import Projector


class VICReg(nn.Module):
    """VICReg: variance, invariance and covariance regularisation (https://arxiv.org/abs/2105.04906, section 4.1).

    With the projections z, z' (n, d) of both views of n images, with the weights of the authors' code:

        loss = invariance * mean (z - z')^2
             + variance * mean over z, z' and components j of max(0, 1 - sqrt(var z_j + 0.0001))
             + covariance * sum over z, z' of (1/d) sum over i != j of cov(z)_ij^2
    """

    def __init__(
        self,
        descriptor_dim: int,
        *,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        width: int = 2048,
        layers: int = 3,
    ) -> None:
        """Builds the projector, which the paper calls expander.

        Args:
            descriptor_dim: dimension of the descriptors.
            invariance: weight of the distance between the views.
            variance: weight of the term that keeps the standard deviation of every component above 1.
            covariance: weight of the term that decorrelates the components.
            width: width of all layers of the projector; the paper's is 8192, which has 15 times the weights.
            layers: linear layers of the projector.
        """
        super().__init__()
        self.projector = Projector(descriptor_dim, *[width] * layers)
        self.vicreg = VICRegLoss(invariance_lambda=invariance, variance_mu=variance, covariance_v=covariance)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Maps the descriptors (n, descriptor_dim) of both views to the loss."""
        return self.vicreg(self.projector(first), ref_emb=self.projector(second))
