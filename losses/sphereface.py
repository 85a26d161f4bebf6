"""SphereFace."""

from pytorch_metric_learning.losses import SphereFaceLoss
from torch import nn

from losses.classifier import classifier


def sphereface(num_classes: int, descriptor_dim: int, *, m: int = 2, s: float = 30.0, focal: float = 0.0) -> nn.Module:
    """Multiplicative angular margin loss, A-Softmax (https://arxiv.org/abs/1704.08063, eq. 7).

    With t_j the angle between descriptor and weights of class j, averaged over the batch:

        loss = -log( e^(s psi(t_y)) / (e^(s psi(t_y)) + sum over j != y of e^(s cos t_j)) )
        psi(t) = (-1)^n cos(m t) - 2 n,     n = floor(m t / pi)

    The paper scales by the descriptor's length; descriptors have length 1 here, so s replaces it. The paper's m = 4
    needs annealing from plain softmax; m = 2 trains without it.

    Args:
        num_classes: classes of the group.
        descriptor_dim: length of a descriptor.
        m: factor of the angle, a whole number.
        s: scale.
        focal: exponent of focal weighting (https://arxiv.org/abs/1708.02002), 0 for none.
    """
    return classifier(SphereFaceLoss, num_classes, descriptor_dim, m, s, focal)
