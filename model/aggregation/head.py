"""Parts that aggregations share: L2 normalisation, the linear head, and the check of a dimension that options give."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError


class L2Norm(nn.Module):
    """Divides by the Euclidean norm along dimension 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(x, p=2.0, dim=1)


class LinearHead(nn.Sequential):
    """Pooling layers, a linear layer, L2."""

    def __init__(self, pooling: Sequence[nn.Module], pooled_dim: int, descriptor_dim: int) -> None:
        """Builds the linear layer.

        Args:
            pooling: layers that together map the input of the aggregation to (b, pooled_dim).
            pooled_dim: dimension of their output.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has `pooled_dim` dimensions.
        """
        fc = nn.Linear(pooled_dim, descriptor_dim) if descriptor_dim else nn.Identity()
        super().__init__(*pooling, fc, L2Norm())
        self.descriptor_dim = descriptor_dim or pooled_dim

    @property
    def pooling(self) -> nn.Sequential:
        """The layers before the linear one."""
        return nn.Sequential(*list(self)[:-2])

    @property
    def fc(self) -> nn.Linear:
        """The linear layer."""
        return self[-2]


def check_dimension(wanted: int, own: int, arithmetic: str, option: str, value: float) -> None:
    """Refuses a dimension that differs from the one that an aggregation's options give.

    Args:
        wanted: requested dimension; 0 for the one that the options give.
        own: the dimension that the options give.
        arithmetic: how it is computed, as text.
        option, value: an option and its value that would give `wanted`, if the value is a whole number above 0.

    Raises:
        ArgumentError: if they differ.
    """
    if wanted in (0, own):
        return
    whole = value >= 1 and value == int(value)
    remedy = f"set {option}={int(value)} in `aggregation_options`" if whole else "set other `aggregation_options`"
    raise ArgumentError(
        "fc_output_dim", f"{wanted} does not match {arithmetic} = {own} dimensions; leave it out, or {remedy}"
    )
