"""CricaVPR."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.cross_image import NOT_EXPORTABLE, cross_image_encoder
from model.aggregation.gem import GeM

# Where the pyramid divides a side, in sixteenths.
LEVELS = ((0, 8, 16), (0, 5, 11, 16))
PARTS = 1 + sum((len(level) - 1) ** 2 for level in LEVELS)


class CricaVPR(nn.Module):
    """CricaVPR: parts of an image, encoded over all images of a batch (https://arxiv.org/abs/2402.19231).

        parts = [token, GeM(L2(x)) of 2 x 2 regions, GeM(L2(x)) of 3 x 3 regions]
        descriptor = L2( W L2(encoder(parts)) + b )

    The encoder is a transformer in which a part attends to the same part of the other images of the batch, so a
    descriptor depends on these. Without the linear layer (W, b) it has 14 * channels dimensions. The regions are those
    of a map of 16x16; maps of other sizes are divided in the same proportions.
    """

    needs_class_token = True
    needs_grid = True
    encodes_across_batch = True
    not_exportable = NOT_EXPORTABLE

    def __init__(self, channels: int, descriptor_dim: int = 512) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the tokens.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has 14 * channels.
        """
        super().__init__()
        self.descriptor_dim = descriptor_dim or PARTS * channels
        self.gem = GeM()
        self.encoder = cross_image_encoder(channels)
        self.fc = nn.Linear(PARTS * channels, descriptor_dim) if descriptor_dim else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, 1 + h, w), a row of class tokens before the map, to unit (b, descriptor_dim).

        Raises:
            ArgumentError: if the map is too small to be divided.
        """
        token, features = x[:, :, 0, 0], F.normalize(x[:, :, 1:], dim=1)
        height, width = features.shape[-2:]
        if min(height, width) < len(LEVELS[-1]) - 1:
            raise ArgumentError("image_size", f"a map of {width}x{height} cannot be divided into 3 x 3 regions")
        parts = [token]
        for level in LEVELS:
            rows, columns = ([round(side * edge / level[-1]) for edge in level] for side in (height, width))
            for top, bottom in itertools.pairwise(rows):
                for left, right in itertools.pairwise(columns):
                    parts.append(self.gem(features[..., top:bottom, left:right]))
        encoded = self.encoder(torch.stack(parts, dim=1)).flatten(1)
        return F.normalize(self.fc(F.normalize(encoded, dim=1)), dim=1)
