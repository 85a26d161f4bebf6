"""Adaptive batch normalisation."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

from commons.errors import UsageError

SETTLED = 1e-3


class _Moments:
    """Count, sum and sum of squares of each channel, in float64, over any number of batches."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, x: torch.Tensor) -> None:
        """Adds a batch (b, channels, ...)."""
        other = [dimension for dimension in range(x.ndim) if dimension != 1]
        # Centred in float32 first: a float32 sum of squares would lose a small variance around a large mean.
        variance, mean = (value.double().cpu() for value in torch.var_mean(x.float(), other, correction=0))
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
        UsageError: if there is none.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        raise UsageError(
            "--adapt_batch_norm: this network has no batch normalisation (transformers and ConvNeXt have layer "
            "normalisation); leave the flag out, or train with --target_folder and --adaptation coral"
        )
    return norms


@torch.inference_mode()
def adapt_batch_norm(network: nn.Module, batches: Callable[[], Iterable[torch.Tensor]]) -> tuple[int, float]:
    """Replaces the running statistics by those of target images (https://arxiv.org/abs/1603.04779, section 3.2).

    Each layer gets the mean and variance of what reaches it over all positions of all images, whatever the batches.
    What reaches a layer changes with the layers before it, so the images pass again until the statistics no longer
    change: after k passes the first k layers are exact, and in practice a few passes settle all of them.

    Args:
        network: with batch normalisation; is switched to evaluation mode.
        batches: starts a pass over the images, on the network's device.

    Returns:
        The number of passes, and the largest change in the last one: of a mean in standard deviations, or of a standard
        deviation as a share of itself.

    Raises:
        UsageError: if the network has no batch normalisation.
    """
    norms = batch_norms(network)
    network.eval()
    passes, change = 0, float("inf")
    while change >= SETTLED and passes <= len(norms):
        passes += 1
        moments = {norm: _Moments() for norm in norms}
        hooks = [norm.register_forward_pre_hook(partial(_add, moments[norm])) for norm in norms]
        try:
            for images in batches():
                network(images)
        finally:
            for hook in hooks:
                hook.remove()
        change = max(_replace(norm, *moments[norm].statistics()) for norm in norms if moments[norm].count)
    return passes, change


def _add(moments: _Moments, norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    moments.add(inputs[0])


def _replace(norm: nn.Module, mean: torch.Tensor, variance: torch.Tensor) -> float:
    """Sets a layer's statistics and returns by how much they change."""
    deviation, old = (x.double().cpu().add(norm.eps).sqrt() for x in (variance, norm.running_var))
    shift = (mean - norm.running_mean.double().cpu()).abs() / deviation
    stretch = (old / deviation - 1).abs()
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    return float(torch.maximum(shift, stretch).max())
