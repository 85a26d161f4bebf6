"""Networks that give images the embeddings of the positions where they were taken."""

import torch
from torch import nn

from model.head_network import HeadNet
from model.location.encoder import LocationEncoder
from model.network import GeoLocalizationNet

HIDDEN = 1024
SCALE = 20.0  # of cosines in the softmax over positions


class EmbeddingNet(HeadNet):
    """Encoder and a head of two linear layers with LayerNorm: images to location embeddings of any length.

    Attributes:
        location: the encoder of positions, which belongs to the network but takes no part in `forward`.
        scale: scale of cosines in the softmax over positions, a number.
    """

    def __init__(self, encoder: GeoLocalizationNet, location: LocationEncoder, hidden: int = HIDDEN) -> None:
        head = nn.Sequential(
            nn.LayerNorm(encoder.descriptor_dim), nn.Linear(encoder.descriptor_dim, hidden), nn.GELU(),
            nn.LayerNorm(hidden), nn.Linear(hidden, location.dim),
        )  # fmt: skip
        super().__init__(encoder, head, location.dim)
        self.location = location
        self.register_buffer("scale", torch.tensor(SCALE))
