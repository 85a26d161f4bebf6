"""The straight distance between points on the unit sphere."""

import torch
from torch import nn


class Chord(nn.Module):
    """Mean of |u - v| = 2 sin(angle / 2).

    For small angles it is the angle. It grows with the angle up to 2 at the antipode, where the gradient along the
    sphere is 0. The gradient at u = v is 0, too.
    """

    def forward(self, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of unit vectors, float (b, 3) each."""
        return (predicted - true).norm(dim=1).mean()
