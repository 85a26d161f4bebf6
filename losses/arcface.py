"""ArcFace, and ArcFace with several centres a class."""

import math

import torch
from pytorch_metric_learning.losses import ArcFaceLoss, SubCenterArcFaceLoss
from torch import nn

from losses.checks import check_range
from losses.classifier import classifier

# Cosines are clamped to this distance from -1 and 1, where the arc cosine has no finite gradient. The library clamps to
# -1 and 1, and many versions of PyTorch pass a gradient there.
EDGE = 1e-6


def arcface(num_classes: int, descriptor_dim: int, *, m: float = 0.5, s: float = 64.0, focal: float = 0.0) -> nn.Module:
    """Additive angular margin loss (https://arxiv.org/abs/1801.07698, eq. 3).

    With t_j the angle between descriptor and weights of class j, averaged over the batch:

        loss = -log( e^(s cos(t_y + m)) / (e^(s cos(t_y + m)) + sum over j != y of e^(s cos t_j)) )

    Where t_y + m exceeds 180 degrees, cos(t_y + m) is replaced by cos t_y - m sin m.

    Args:
        num_classes: classes of the group.
        descriptor_dim: length of a descriptor.
        m: margin in radians, at most pi / 2.
        s: scale.
        focal: exponent of focal weighting (https://arxiv.org/abs/1708.02002), 0 for none.
    """
    check_range("m", m, 0, math.pi / 2)
    return classifier(_with_finite_angles(ArcFaceLoss), num_classes, descriptor_dim, math.degrees(m), s, focal)


def subcenter_arcface(
    num_classes: int, descriptor_dim: int, *, m: float = 0.5, s: float = 64.0, k: int = 3, focal: float = 0.0
) -> nn.Module:
    """ArcFace with several centres a class (Deng et al., ECCV 2020; https://arxiv.org/abs/1801.07698).

    ArcFace's loss, where the cosine of a class is that of its nearest centre, so that a class may hold images that
    look different (day and night, both ends of a cell):

        cos t_j = max over i of x.w_ji

    Args:
        num_classes: classes of the group.
        descriptor_dim: length of a descriptor.
        m: margin in radians, at most pi / 2.
        s: scale.
        k: centres of a class.
        focal: exponent of focal weighting (https://arxiv.org/abs/1708.02002), 0 for none.
    """
    check_range("m", m, 0, math.pi / 2)
    kind = _with_finite_angles(SubCenterArcFaceLoss)
    return classifier(kind, num_classes, descriptor_dim, math.degrees(m), s, focal, sub_centers=k)


def _with_finite_angles(kind: type[nn.Module]) -> type[nn.Module]:
    class FiniteAngles(kind):
        def get_angles(self, cosine: torch.Tensor) -> torch.Tensor:
            return torch.acos(cosine.clamp(EDGE - 1, 1 - EDGE))

    return FiniteAngles
