"""Cost of a network: parameters, and floating-point operations of an image."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


class _WithoutAutocast(nn.Module):
    """The forward pass of a network without autocast, which the meta device does not support."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.aggregation(self.network.features(images))


def count_flops(network: nn.Module, image_size: int | Sequence[int]) -> int:
    """Counts the floating-point operations of one image, without computing them.

    A multiplication and an addition are two operations, as PyTorch counts them, so figures of papers that count
    multiply-adds are half of these. Only matrix products, convolutions and attention count.

    Args:
        network: network with `features` and `aggregation`, on any device; it is not changed.
        image_size: side of the square image in pixels, or height and width.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    whole, training = _WithoutAutocast(network), network.training
    tensors = {name: tensor.to("meta") for name, tensor in [*whole.named_parameters(), *whole.named_buffers()]}
    network.eval()
    with FlopCounterMode(display=False) as counter:
        functional_call(whole, tensors, (torch.zeros(1, 3, *size, device="meta"),))
    network.train(training)
    return counter.get_total_flops()


def network_cost(network: nn.Module, image_size: int | Sequence[int]) -> dict[str, int | float | Sequence[int]]:
    """Returns the figures that tables compare: dimension of the descriptor, number of parameters and of trained ones,
    and operations of an image in 10^9 (`gflops`).

    Args:
        network: or an ensemble, with networks as `members`; of exported ones only the dimension is known. Networks that
            do not map one image to a descriptor have no operations of an image.
        image_size: side of the square image in pixels, or height and width.
    """
    members, parameters = getattr(network, "members", [network]), list(network.parameters())
    found = {"descriptor_dim": network.descriptor_dim}
    if parameters:
        found["parameters"] = sum(parameter.numel() for parameter in parameters)
        found["trained_parameters"] = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    if not all(hasattr(member, "features") for member in members):
        return found
    return found | {
        "gflops": sum(count_flops(member, image_size) for member in members) / 1e9,
        "gflops_image_size": image_size,
    }
