"""Descriptors whose first dimensions are descriptors by themselves."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from commons.errors import ArgumentError


class Matryoshka(nn.Module):
    """Mean of a loss over prefixes of the descriptors (Matryoshka Representation Learning, arXiv 2205.13147, eq. 1).

    https://arxiv.org/abs/2205.13147

    With x[:d] the first d dimensions of a descriptor, divided by their length, and D the prefixes and the whole
    descriptor:

        loss = 1 / |D| sum over d in D of loss(x[:d])

    All prefixes share the weights of a classifier: prefix d has the first d weights of each class (MRL-E in the paper),
    whose length the losses ignore. A miner chooses the pairs of each prefix anew.
    """

    def __init__(self, loss: nn.Module, prefixes: Sequence[int]) -> None:
        """Args:
        loss: loss of unit descriptors (b, d) and labels (b,); the rows of its parameters, if any, belong to dimensions.
        prefixes: numbers of first dimensions, without the whole descriptor.
        """
        super().__init__()
        self.loss, self.prefixes = loss, tuple(prefixes)

    def forward(self, descriptors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of unit descriptors (b, d) with labels (b,)."""
        total = self.loss(descriptors, labels)
        for dim in self.prefixes:
            weights = {name: weight[:dim] for name, weight in self.loss.named_parameters()}
            total = total + functional_call(self.loss, weights, (F.normalize(descriptors[:, :dim], dim=1), labels))
        return total / (1 + len(self.prefixes))


def check_prefixes(prefixes: Sequence[int], descriptor_dim: int) -> None:
    """Raises ArgumentError if a prefix is not shorter than the descriptor."""
    longest = max(prefixes, default=0)
    if longest >= descriptor_dim:
        raise ArgumentError(
            "matryoshka",
            f"{longest} must be below the {descriptor_dim} dimensions of the descriptor, which is always trained; "
            "leave it out, or raise `fc_output_dim`",
        )
