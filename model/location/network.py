"""A location encoder and the decoder that undoes it, as one network."""

import torch
from torch import nn

from model.location.decoder import LocationDecoder
from model.location.encoder import LocationEncoder


class DecoderNet(nn.Module):
    """A frozen encoder of positions and a decoder, which is trained.

    Attributes:
        location: maps degrees to embeddings.
        decoder: maps embeddings to unit vectors.
        descriptor_dim: number of outputs.
    """

    descriptor_dim = 3

    def __init__(self, location: LocationEncoder) -> None:
        super().__init__()
        self.location, self.decoder = location.freeze(), LocationDecoder(location.dim)

    @property
    def head(self) -> LocationDecoder:
        """What is trained on embeddings that are computed once."""
        return self.decoder

    def train(self, mode: bool = True) -> "DecoderNet":
        """Sets the mode of the decoder; the encoder stays in evaluation mode."""
        super().train(mode)
        self.location.eval()
        return self

    def forward(self, degrees: torch.Tensor) -> torch.Tensor:
        """Returns unit vectors, float32 (n, 3), of latitudes and longitudes in degrees, float (n, 2)."""
        return self.decoder(self.location(degrees))
