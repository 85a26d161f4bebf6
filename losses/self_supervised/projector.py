"""The network between a descriptor and a self-supervised loss."""

import math
from itertools import pairwise

import torch
from torch import nn


class Projector(nn.Sequential):
    """Linear layers with batch normalisation and ReLU between them.

    The normalisation always uses the statistics of the batch and keeps no running ones.
    """

    def __init__(self, *widths: int) -> None:
        """Builds layers from widths[0], the descriptor's dimension, to widths[-1]."""
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths[:-1]):
            norm = nn.BatchNorm1d(outputs, track_running_stats=False)
            layers += [nn.Linear(inputs, outputs, bias=False), norm, nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(widths[-2], widths[-1], bias=False))

    def forward(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Maps unit (n, widths[0]) to (n, widths[-1])."""
        # Components of a unit vector are of the order 1 / sqrt(d), too small for the epsilon of batch normalisation.
        return super().forward(descriptors * math.sqrt(descriptors.shape[1]))
