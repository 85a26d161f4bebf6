"""SuperVLAD."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from model.aggregation.clusters import k_means, sampled_features, sharpness
from model.aggregation.cross_image import NOT_EXPORTABLE, cross_image_encoder


class SuperVLAD(nn.Module):
    """SuperVLAD (Lu et al., NeurIPS 2024): NetVLAD (https://arxiv.org/abs/1511.07247) without cluster centres.

        x = L2(x); a_k = softmax over clusters of (w_k . x); V_k = L2( sum over positions of a_k x )
        descriptor = L2( W L2([V_1 ... V_clusters]) + b )

    Ghost clusters take part in the softmax and are then left out. Without the linear layer (W, b) it has clusters *
    channels dimensions. With `cross_image` the V_k of all images of a batch pass an encoder together, so a descriptor
    depends on the other images of its batch. Tensors are named as in the published weights.

    Attributes:
        encodes_across_batch: whether a descriptor depends on the other images of its batch.
    """

    def __init__(
        self,
        channels: int,
        descriptor_dim: int = 512,
        *,
        clusters: int = 4,
        ghost_clusters: int = 1,
        cross_image: bool = False,
    ) -> None:
        """Builds the layers, with random directions for clusters.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has clusters * channels.
            clusters: number of clusters.
            ghost_clusters: number of clusters that are left out of the descriptor.
            cross_image: encode the images of a batch together.
        """
        super().__init__()
        self.clusters, self.encodes_across_batch = clusters, cross_image
        self.descriptor_dim = descriptor_dim or clusters * channels
        self.conv = nn.Conv2d(channels, clusters + ghost_clusters, kernel_size=1, bias=False)
        self.encoder = cross_image_encoder(channels) if cross_image else nn.Identity()
        self.fc = nn.Linear(clusters * channels, descriptor_dim) if descriptor_dim else nn.Identity()

    @property
    def not_exportable(self) -> str:
        """The reason why the network cannot be exported; "" if it can."""
        return NOT_EXPORTABLE if self.encodes_across_batch else ""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to unit (b, descriptor_dim)."""
        x = F.normalize(x, dim=1)
        assignments = self.conv(x).flatten(2).softmax(dim=1)[:, : self.clusters]
        vlad = F.normalize(assignments @ x.flatten(2).transpose(1, 2), dim=2)
        vlad = F.normalize(vlad.flatten(1), dim=1)
        mixed = self.encoder(vlad.unflatten(1, (self.clusters, -1))).flatten(1)
        return F.normalize(self.fc(F.normalize(mixed, dim=1)), dim=1)

    @torch.no_grad()
    def initialise(self, maps: Iterable[torch.Tensor]) -> None:
        """Sets the assignment to the directions of the k-means centres of local features, as in NetVLAD.

        Args:
            maps: (b, channels, h, w) of training images; of each image up to 100 features are kept in memory.

        Raises:
            ArgumentError: if there are fewer features than clusters.
        """
        features = sampled_features(maps, self.conv.out_channels)
        directions = F.normalize(k_means(features, self.conv.out_channels), dim=1)
        self.conv.weight.copy_(sharpness(features, directions) * directions[..., None, None])
