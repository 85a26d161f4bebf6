"""The angle between points on the unit sphere."""

import torch
from torch import nn


class Angle(nn.Module):
    """Mean of atan2(|u x v|, u . v) in radians: the great-circle distance by the radius of the earth.

    It is exact for small and large angles in float32, and its gradient is finite everywhere; where u = v and at the
    antipode it is 0. The haversine formula has a gradient of NaN there, and the inverse cosine is inexact near them.
    """

    def forward(self, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of unit vectors, float (b, 3) each."""
        across = torch.linalg.cross(predicted, true).norm(dim=1)
        return torch.atan2(across, (predicted * true).sum(dim=1)).mean()
