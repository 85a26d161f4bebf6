"""What the augmentations share: a probability, a draw for each image, noise, and checks of strengths."""

from collections.abc import Callable

import torch
from torch import nn

from commons.errors import ArgumentError


class Sometimes(nn.Module):
    """An augmentation that is applied to each image with probability p, with a draw for each; may work in place."""

    def __init__(self, p: float) -> None:
        """Raises ArgumentError if `p` is not a probability."""
        super().__init__()
        require(f"p={p:g}", 0 <= p <= 1, "between 0 and 1")
        self.p = p

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
        """Draws from PyTorch's generator on the CPU: tensors with a row for each of `count` images."""
        raise NotImplementedError

    def augment(self, images: torch.Tensor, *draws: torch.Tensor) -> torch.Tensor:
        """Maps float (b, 3, h, w) in [0, 1] to the same with what was drawn, whose tensors are on the CPU.

        Rounding in colour jitter may leave values a little outside of the range, such as -2e-8.
        """
        raise NotImplementedError

    def choose(self, count: int) -> torch.Tensor:
        """Draws the rows that are changed, int64 (n,)."""
        return (torch.rand(count) < self.p).nonzero().squeeze(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        chosen, draws = self.choose(len(images)), self.draw(len(images), *images.shape[-2:])
        if images.device.type == "cpu":  # one image stays in the processor's cache
            for row in chosen.tolist():
                own = slice(row, row + 1)
                images[own] = self.augment(images[own], *(drawn[own] for drawn in draws))
            return images
        return self.replace(images, chosen, lambda part: self.augment(part, *(drawn[chosen] for drawn in draws)))

    @staticmethod
    def replace(
        images: torch.Tensor, rows: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Returns the batch with these rows changed together."""
        if len(rows) == len(images):
            return change(images)
        if len(rows):
            rows = on(rows, images.device)
            images[rows] = change(images[rows])
        return images


class FromLibrary(Sometimes):
    """An augmentation that a library draws and applies; it is given the chosen rows only."""

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """Draws for each of the images, float (b, 3, h, w) in [0, 1], and returns them changed."""
        raise NotImplementedError

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.replace(images, self.choose(len(images)), self.augment)


def require(setting: str, holds: bool, allowed: str) -> None:
    """Raises ArgumentError if an option, such as "rotation.degrees=200", is out of range."""
    if not holds:
        raise ArgumentError("augmentation_options", f"{setting}: must be {allowed}")


def uniform(count: int, low: float, high: float) -> torch.Tensor:
    """Draws float (count,) from [low, high)."""
    return low + torch.rand(count) * (high - low)


def on(drawn: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copies what was drawn to the device without waiting for it."""
    return drawn.to(device, non_blocking=True)


def column(drawn: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Copies one number per image, (b,), to the images' device, as (b, 1, 1, 1)."""
    return on(drawn, images.device).view(-1, 1, 1, 1)


def draw_seeds(count: int) -> torch.Tensor:
    """Draws seeds of noise, int64 (count,): noise is made on the device, but follows from the CPU's generator."""
    return torch.randint(2**62, (count,))


def noise_generator(seeds: torch.Tensor, device: torch.device) -> torch.Generator:
    """Returns a generator on the device for the noise of a batch, seeded with its first image's seed."""
    return torch.Generator(device).manual_seed(int(seeds[0]))
