"""Small batches for tests of losses, and simple implementations of shared parts."""

import torch
from torch.nn.functional import normalize


def batch(places: int = 4, images: int = 3, dim: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit descriptors (places * images, dim) in float64, those of one place near each other, and labels."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(places, 1, dim, dtype=torch.float64, generator=draw)
    noise = torch.randn(places, images, dim, dtype=torch.float64, generator=draw)
    x = normalize((centres + 0.9 * noise).flatten(0, 1), dim=1).requires_grad_()
    return x, torch.arange(places).repeat_interleave(images)


def gradients(loss: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The gradient of a loss with respect to the descriptors."""
    return torch.autograd.grad(loss, x)[0]
