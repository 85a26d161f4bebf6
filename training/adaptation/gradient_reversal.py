"""A domain classifier behind a layer that reverses gradients."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, x: torch.Tensor, strength: float) -> torch.Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(x: torch.Tensor, strength: float) -> torch.Tensor:
    """Returns x; its gradient comes back multiplied by -strength."""
    return _Reverse.apply(x, strength)


class GradientReversal(nn.Module):
    """Domain-adversarial training (https://arxiv.org/abs/1409.7495, section 3).

    A classifier is trained to distinguish source and target descriptors; the network gets its gradient times -lambda,

        lambda = 2 / (1 + e^(-gamma * progress)) - 1

    so that the descriptors of both domains become alike. lambda grows from 0 to 1, so the classifier is trained first.
    """

    def __init__(self, descriptor_dim: int, *, gamma: float = 10.0, hidden: int = 256) -> None:
        """Builds the classifier.

        Args:
            descriptor_dim: dimension of the descriptors.
            gamma: how fast lambda grows.
            hidden: units in both hidden layers of the domain classifier.
        """
        super().__init__()
        self.gamma = gamma
        self.classifier = nn.Sequential(
            nn.Linear(descriptor_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def strength(self, progress: float) -> float:
        """Returns lambda at `progress` from 0 to 1."""
        return 2 / (1 + math.exp(-self.gamma * progress)) - 1

    def forward(self, source: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
        """Returns the classifier's cross-entropy; ln 2 = 0.69 is that of guessing.

        Args:
            source, target: unit descriptors (n, d) and (m, d).
            progress: share of the training that is done.
        """
        both = reverse_gradient(torch.cat([source, target]), self.strength(progress))
        # Components of a unit vector are of the order 1 / sqrt(d); the layers start for inputs of the order 1.
        logits = self.classifier(both * math.sqrt(both.shape[1])).squeeze(1)
        is_target = torch.cat([logits.new_zeros(len(source)), logits.new_ones(len(target))])
        return F.binary_cross_entropy_with_logits(logits, is_target)
