"""Adaptive batch normalisation."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from commons.errors import ArgumentError


class _Moments:
    """Count, sum and sum of squares of each channel in float64, over any number of batches."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, x: torch.Tensor) -> None:
        """Adds a batch (b, channels, ...)."""
        others = [dimension for dimension in range(x.ndim) if dimension != 1]
        # Centred in float32 first: a float32 sum of squares would lose a small variance around a large mean.
        variance, mean = (value.cpu().double() for value in torch.var_mean(x.float(), others, correction=0))
        count = x.numel() // x.shape[1]
        self.count += count
        self.sum += count * mean
        self.squares += count * (variance + mean.square())

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and unbiased variance of each channel, as PyTorch keeps them."""
        mean = self.sum / self.count
        return mean, (self.squares - self.count * mean.square()).clamp(min=0) / max(self.count - 1, 1)


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """Returns the batch normalisations of a network that keep running statistics.

    Raises:
        ArgumentError: if there is none.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        raise ArgumentError(
            "adapt_batch_norm",
            "this network has no batch normalization (transformers and ConvNeXt have layer normalization); leave it "
            "out, or train with `target_folder` and `adaptation` coral",
        )
    return norms


@torch.inference_mode()
def adapt_batch_norm(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Replaces the running statistics by those of target images (https://arxiv.org/abs/1603.04779, section 3.2).

    Each layer gets the mean and variance, over all positions of all images, of what reaches it while the layers before
    it normalise each batch by the batch's own statistics. They are exact over all batches instead of a moving
    average. Draw the batches in random order and not too small, so that each is like the whole set.

    Args:
        network: network with batch normalization; is left in evaluation mode.
        batches: images on the network's device.

    Raises:
        ArgumentError: if the network has no batch normalisation.
    """
    moments = {norm: _Moments() for norm in batch_norms(network)}
    network.eval()
    with _normalising_by_batch(moments):
        for images in _whole_batches(batches):
            network(images)
    for norm, own in moments.items():
        if own.count:
            mean, variance = own.statistics()
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)


def _whole_batches(batches: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Joins a smaller batch to the one before it: the statistics of a few images alone are too noisy."""
    waiting, full = None, 0
    for images in batches:
        full = full or len(images)
        if waiting is not None and len(images) <= full / 2 and images.shape[1:] == waiting.shape[1:]:
            images = torch.cat([waiting, images])
        elif waiting is not None:
            yield waiting
        waiting = images
    if waiting is not None:
        yield waiting


@contextmanager
def _normalising_by_batch(moments: dict[nn.Module, _Moments]) -> Iterator[None]:
    """While this is open, the layers take each batch's statistics, and what reaches them is added to their moments."""
    hooks = [norm.register_forward_pre_hook(partial(_add, own)) for norm, own in moments.items()]
    try:
        for norm in moments:
            norm.train()
        yield
    finally:
        for hook, norm in zip(hooks, moments, strict=True):
            hook.remove()
            norm.eval()


def _add(moments: _Moments, norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    moments.add(inputs[0])
