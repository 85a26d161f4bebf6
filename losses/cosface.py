"""CosFace, the loss of CosPlace."""

from pytorch_metric_learning.losses import CosFaceLoss
from torch import nn

from losses.checks import check_range
from losses.classifier import classifier


def cosface(
    num_classes: int, descriptor_dim: int, *, m: float = 0.40, s: float = 30.0, focal: float = 0.0
) -> nn.Module:
    """Large margin cosine loss (https://arxiv.org/abs/1801.09414, eq. 4), the loss of CosPlace.

    With unit descriptors x and unit class weights w, averaged over the batch:

        loss = -log( e^(s (x.w_y - m)) / (e^(s (x.w_y - m)) + sum over j != y of e^(s x.w_j)) )

    Args:
        num_classes: classes of the group.
        descriptor_dim: length of a descriptor.
        m: margin in cosine, at most 1.
        s: scale.
        focal: exponent of focal weighting (https://arxiv.org/abs/1708.02002), 0 for none.
    """
    check_range("m", m, 0, 1)
    return classifier(CosFaceLoss, num_classes, descriptor_dim, m, s, focal)
