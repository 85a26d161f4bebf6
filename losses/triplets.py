"""Metric losses that compare a positive with a negative."""

import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from losses.checks import check_range


def triplet(*, margin: float = 0.1) -> nn.Module:
    """Triplet margin loss (https://arxiv.org/abs/1503.03832) of distances, which the paper squares.

    With d the distance of unit descriptors, averaged over the triplets (image, positive, negative) that are not 0 yet:

        loss = max(0, d(image, positive) - d(image, negative) + margin)

    Args:
        margin: minimum difference of the two distances, at most 2.
    """
    check_range("margin", margin, 0, 2)
    return TripletMarginLoss(margin=margin)


def centroid_triplet(*, margin: float = 0.05) -> nn.Module:
    """Centroid triplet loss (https://arxiv.org/abs/2104.13643).

    With c_P the mean of the other images of an image's place and c_N the mean of another place's images, averaged
    over the pairs of an image x and another place that are not 0 yet:

        loss = max(0, |x - c_P|^2 - |x - c_N|^2 + margin)

    Args:
        margin: minimum difference of the two squared distances, at most 4.
    """
    check_range("margin", margin, 0, 4)
    return CentroidTripletLoss(margin)


class CentroidTripletLoss(nn.Module):
    """See `centroid_triplet`."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors: torch.Tensor, labels: torch.Tensor, mined: None = None) -> torch.Tensor:
        """Returns the scalar loss of descriptors (b, d) with labels (b,)."""
        _, place = labels.unique(return_inverse=True)
        member = F.one_hot(place).to(descriptors.dtype)
        counts, sums = member.sum(0), member.T @ descriptors
        own_count = counts[place] - 1
        own = (sums[place] - descriptors) / own_count.clamp_min(1)[:, None]
        to_own = (descriptors - own).square().sum(1)
        to_all = (descriptors[:, None] - (sums / counts[:, None])[None]).square().sum(2)
        losses = F.relu(to_own[:, None] - to_all + self.margin) * (1 - member) * (own_count > 0)[:, None]
        return losses.sum() / (losses > 0).sum().clamp_min(1)
