"""Fourier domain adaptation."""

import torch
from torch import nn

from commons.errors import ArgumentError


class Fourier(nn.Module):
    """Fourier domain adaptation: low frequencies get the target's amplitude (https://arxiv.org/abs/2004.05498, eq. 3).

    In the spectrum of each channel, the amplitudes of all frequencies up to beta * min(h, w) in both directions become
    those of the target image; all phases, and so the edges, stay.
    """

    def __init__(self, *, beta: float = 0.01) -> None:
        """Sets the size of the window.

        Args:
            beta: half of the swapped square's side as a share of the spectrum's shorter side; the paper takes 0.01,
                0.05 and 0.09.

        Raises:
            ArgumentError: if beta is 0.5 or more.
        """
        super().__init__()
        if beta >= 0.5:
            raise ArgumentError(
                "adaptation_options", f"fourier.beta={beta:g} is not below 0.5, where the square is the whole spectrum"
            )
        self.beta = beta

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Maps uint8 images (b, 3, h, w) and target images of the same shape to uint8 images."""
        height, width = images.shape[-2:]
        reach = int(self.beta * min(height, width))
        spectrum, wanted = (torch.fft.rfft2(x.float()) for x in (images, targets))
        # A real image's spectrum is given by its columns 0 to w / 2; rows hold positive, then negative frequencies.
        for rows in (slice(0, reach + 1), slice(height - reach, height)):
            low = spectrum[..., rows, : reach + 1]
            low.copy_(torch.polar(wanted[..., rows, : reach + 1].abs(), low.angle()))
        return torch.fft.irfft2(spectrum, s=(height, width)).round_().clamp_(0, 255).to(torch.uint8)
