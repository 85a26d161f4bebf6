"""What the augmentations share: a probability, a draw for each image, noise, and checks of strengths."""

import torch
from torch import nn

from commons.errors import UsageError


class Sometimes(nn.Module):
    """An augmentation that each image gets with probability p, with its own draw; may change the batch in place."""

    def __init__(self, p: float) -> None:
        """Raises UsageError if `p` is no probability."""
        super().__init__()
        require(f"p={p:g}", 0 <= p <= 1, "between 0 and 1")
        self.p = p

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
        """Draws from PyTorch's generator on the CPU: tensors with a row for each of `count` images."""
        raise NotImplementedError

    def augment(self, images: torch.Tensor, *draws: torch.Tensor) -> torch.Tensor:
        """Maps float (b, 3, h, w) in [0, 1] to the same with what was drawn, whose tensors are on the CPU.

        Colour jitter's rounding may have left values a little outside, such as -2e-8, of which a power is no number.
        """
        raise NotImplementedError

    def choose(self, count: int, height: int, width: int) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Returns the rows that are changed, int64 (n,), and what was drawn for all rows."""
        chosen = (torch.rand(count) < self.p).nonzero().squeeze(1)
        return chosen, self.draw(count, height, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        chosen, draws = self.choose(len(images), *images.shape[-2:])
        if images.device.type == "cpu":  # one image stays in the processor's cache
            for row in chosen.tolist():
                own = slice(row, row + 1)
                images[own] = self.augment(images[own], *(drawn[own] for drawn in draws))
        elif len(chosen) == len(images):
            return self.augment(images, *draws)
        elif len(chosen):
            rows = on(chosen, images.device)
            images[rows] = self.augment(images[rows], *(drawn[chosen] for drawn in draws))
        return images


def require(setting: str, holds: bool, allowed: str) -> None:
    """Raises UsageError where a strength on the command line is out of its range."""
    if not holds:
        raise UsageError(f"--augmentation_options {setting}: must be {allowed}")


def uniform(count: int, low: float, high: float) -> torch.Tensor:
    """Draws float (count,) from [low, high)."""
    return low + torch.rand(count) * (high - low)


def on(drawn: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Brings what was drawn to the device without waiting for it."""
    return drawn.to(device, non_blocking=True)


def column(drawn: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Brings a number an image, (b,), to the images' device, as (b, 1, 1, 1)."""
    return on(drawn, images.device).view(-1, 1, 1, 1)


def draw_seeds(count: int) -> torch.Tensor:
    """Draws seeds of noise, int64 (count,): noise is made on the device, but follows from the CPU's generator."""
    return torch.randint(2**62, (count,))


def noise_generator(seeds: torch.Tensor, device: torch.device) -> torch.Generator:
    """Returns a generator on the device for the noise of a batch, seeded with its first image's seed."""
    return torch.Generator(device).manual_seed(int(seeds[0]))
