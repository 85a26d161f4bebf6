"""CosFace, the loss of CosPlace."""

import torch
from pytorch_metric_learning.losses import CosFaceLoss
from pytorch_metric_learning.utils.common_functions import TorchInitWrapper


def cosface(num_classes: int, descriptor_dim: int, s: float = 30.0, m: float = 0.40) -> CosFaceLoss:
    """Builds the large margin cosine loss (https://arxiv.org/abs/1801.09414, eq. 4).

    With unit descriptors x and unit class weights w the loss, averaged over the batch, is

        -log( e^(s (x.w_y - m)) / (e^(s (x.w_y - m)) + sum over j != y of e^(s x.w_j)) )

    The weights start as Xavier-uniform, as in the reference implementation: their length decides how far one step of
    Adam turns them.

    Args:
        num_classes: classes of the group.
        descriptor_dim: length of a descriptor.
        s: scale.
        m: margin in cosine.
    """
    return CosFaceLoss(
        num_classes=num_classes,
        embedding_size=descriptor_dim,
        margin=m,
        scale=s,
        weight_init_func=TorchInitWrapper(torch.nn.init.xavier_uniform_),
    )
