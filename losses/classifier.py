"""Classification losses of pytorch-metric-learning."""

import torch
from pytorch_metric_learning.utils.common_functions import TorchInitWrapper
from torch import nn

from losses.checks import check_above_zero
from losses.focal import with_focal


def classifier(
    kind: type[nn.Module], num_classes: int, descriptor_dim: int, m: float, s: float, focal: float, **options: int
) -> nn.Module:
    """Builds a classification loss of pytorch-metric-learning.

    The weights are initialised with Xavier's uniform distribution, as in CosPlace's reference implementation: their
    length determines how much a step of Adam changes their direction.

    Args:
        kind: class of the library.
        num_classes: classes of the group.
        descriptor_dim: length of a descriptor.
        m: margin, as `kind` takes it.
        s: scale of the logits, above 0.
        focal: exponent of focal weighting, 0 for none.
        options: further arguments of `kind`.
    """
    check_above_zero("s", s)
    loss = kind(
        num_classes=num_classes,
        embedding_size=descriptor_dim,
        margin=m,
        scale=s,
        weight_init_func=TorchInitWrapper(torch.nn.init.xavier_uniform_),
        **options,
    )
    return with_focal(loss, focal)
