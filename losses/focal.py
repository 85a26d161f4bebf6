"""Focal weighting: samples that are classified well get a lower weight."""

import torch
import torch.nn.functional as F
from torch import nn


class FocalCrossEntropy(nn.Module):
    """Cross entropy of each sample, weighted by (1 - p)^gamma with p the probability of its class.

    https://arxiv.org/abs/1708.02002, eq. 4:

        loss = -(1 - p)^gamma log p,     p = softmax(logits)_y
    """

    def __init__(self, gamma: float) -> None:
        """Args:
        gamma: exponent of the weight; 0 for plain cross entropy.
        """
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the losses (b,) of logits (b, classes)."""
        loss = F.cross_entropy(logits, labels, reduction="none")
        # 1 - e^-loss without cancellation; the floor keeps the power's gradient finite where p is 1.
        return (-torch.expm1(-loss)).clamp_min(1e-12) ** self.gamma * loss


def with_focal(loss: nn.Module, gamma: float) -> nn.Module:
    """Adds focal weighting to a classification loss of pytorch-metric-learning; 0 for none."""
    if gamma > 0:
        loss.cross_entropy = FocalCrossEntropy(gamma)
    return loss
