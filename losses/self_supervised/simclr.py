"""SimCLR."""

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from losses.self_supervised.projector import Projector


class SimCLR(nn.Module):
    """SimCLR: among all views, find the other one of the image (https://arxiv.org/abs/2002.05709, eq. 1, NT-Xent).

    With the 2n projections z of unit length, the mean over all views i with partner p(i) of

        -log( e^(z_i.z_p(i) / temperature) / sum over k != i of e^(z_i.z_k / temperature) )
    """

    def __init__(
        self, descriptor_dim: int, *, temperature: float = 0.1, hidden: int = 2048, outputs: int = 128
    ) -> None:
        """Builds the projector of two linear layers.

        Args:
            descriptor_dim: dimension of the descriptors.
            temperature: temperature of the softmax; the paper's best is 0.1.
            hidden: width of the projector's first layer.
            outputs: width of its second.

        Raises:
            ArgumentError: if the temperature is 0.
        """
        super().__init__()
        if temperature == 0:
            raise ArgumentError("self_supervised_loss_options", "temperature=0 must be above 0")
        self.projector = Projector(descriptor_dim, hidden, outputs)
        self.temperature = temperature

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Maps the descriptors (n, descriptor_dim) of both views to the loss."""
        # pytorch-metric-learning's NTXentLoss lists a row of negatives for every pair: n^3 numbers instead of n^2.
        z = F.normalize(torch.cat([self.projector(first), self.projector(second)]), dim=1)
        logits = (z @ z.T / self.temperature).fill_diagonal_(-torch.inf)
        return F.cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(first)))
