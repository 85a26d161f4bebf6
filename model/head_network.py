"""An encoder of images with a head that is trained for a task."""

import torch
from torch import nn

from model.network import GeoLocalizationNet


class HeadNet(nn.Module):
    """Maps images to the outputs of a head, which may be trained alone on descriptors.

    Attributes:
        encoder: maps images to descriptors of unit length.
        head: maps descriptors to outputs.
        descriptor_dim: number of outputs.
    """

    def __init__(self, encoder: GeoLocalizationNet, head: nn.Module, outputs: int) -> None:
        super().__init__()
        self.encoder, self.head, self.descriptor_dim = encoder, head, outputs

    @property
    def backbone(self) -> nn.Module:
        """The backbone of the encoder."""
        return self.encoder.backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the outputs of images, float32 (b, descriptor_dim).

        Args:
            images: as for `GeoLocalizationNet`.
        """
        return self.outputs(self.encoder(images))

    def outputs(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Returns the outputs of descriptors of the encoder, float32 (b, descriptor_dim)."""
        with torch.autocast(descriptors.device.type, enabled=False):
            return self.head(descriptors.float())

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the input of the encoder's aggregation."""
        return self.encoder.features(images)

    def aggregation(self, features: torch.Tensor) -> torch.Tensor:
        """Returns the outputs of `features`."""
        return self.head(self.encoder.aggregation(features))
