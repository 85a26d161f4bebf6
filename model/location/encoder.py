"""What all location encoders have in common."""

from abc import ABC, abstractmethod

import torch
from torch import nn

BATCH = 4096  # points; larger batches are not faster on a CPU


class LocationEncoder(nn.Module, ABC):
    """Maps positions to embeddings.

    Attributes:
        dim: length of the embeddings.
    """

    dim: int

    @abstractmethod
    def forward(self, degrees: torch.Tensor) -> torch.Tensor:
        """Returns embeddings, float (n, dim), not normalised, of latitudes and longitudes in degrees, float (n, 2)."""

    def freeze(self) -> "LocationEncoder":
        """Stops the training of all parameters, and returns the encoder."""
        return self.requires_grad_(False).eval()


@torch.no_grad()
def encode(encoder: LocationEncoder, degrees: torch.Tensor, batch: int = BATCH) -> torch.Tensor:
    """Returns the embeddings of many positions, float32 (n, dim) on the CPU.

    Args:
        encoder: encoder, on any device.
        degrees: latitudes and longitudes, float (n, 2).
        batch: positions at once; the memory beside the result is about 40 KB for each with GeoCLIP's encoder.
    """
    device = next(encoder.parameters()).device
    found = torch.empty(len(degrees), encoder.dim)
    for start in range(0, len(degrees), batch):
        part = degrees[start : start + batch].to(device, torch.float32)
        found[start : start + batch] = encoder(part).float().cpu()
    return found
