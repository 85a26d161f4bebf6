"""NetVLAD."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from model.aggregation.clusters import k_means, sampled_features, sharpness

# Sharpness of the assignment until `initialise` computes it from data.
ALPHA = 100.0


class NetVLAD(nn.Module):
    """NetVLAD: residuals to clusters, summed by soft assignment (https://arxiv.org/abs/1511.07247, eq. 4).

        x = L2(x); a_k = softmax over clusters of (w_k . x); V_k = L2( sum over positions of a_k (x - c_k) )
        descriptor = L2( W L2([V_1 ... V_clusters]) + b )

    Without the linear layer (W, b) it has clusters * channels dimensions. Training starts with clusters c_k from
    k-means on local features of training images, and w_k = alpha c_k / |c_k|. Tensors are named as in the published
    weights.
    """

    def __init__(self, channels: int, descriptor_dim: int = 512, *, clusters: int = 64) -> None:
        """Builds the layers, with random directions for clusters.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has clusters * channels.
            clusters: number of clusters.
        """
        super().__init__()
        vlad_dim = clusters * channels
        self.descriptor_dim = descriptor_dim or vlad_dim
        self.centroids = nn.Parameter(F.normalize(torch.randn(clusters, channels), dim=1))
        self.conv = nn.Conv2d(channels, clusters, kernel_size=1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(ALPHA * self.centroids[..., None, None])
        self.fc = nn.Linear(vlad_dim, descriptor_dim) if descriptor_dim else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to unit (b, descriptor_dim)."""
        x = F.normalize(x, dim=1)
        assignments = self.conv(x).flatten(2).softmax(dim=1)
        # sum of a (x - c) = (sum of a x) - (sum of a) c: no tensor of clusters times positions times channels.
        sums = assignments @ x.flatten(2).transpose(1, 2)
        vlad = F.normalize(sums - assignments.sum(dim=2, keepdim=True) * self.centroids, dim=2)
        return F.normalize(self.fc(F.normalize(vlad.flatten(1), dim=1)), dim=1)

    @torch.no_grad()
    def initialise(self, maps: Iterable[torch.Tensor]) -> None:
        """Sets clusters to k-means centres of local features, and the assignment to their directions.

        Args:
            maps: (b, channels, h, w) of training images; of each image up to 100 features are kept in memory.

        Raises:
            ArgumentError: if there are fewer features than clusters.
        """
        features = sampled_features(maps, len(self.centroids))
        centroids = k_means(features, len(self.centroids))
        directions = F.normalize(centroids, dim=1)
        self.centroids.copy_(centroids)
        self.conv.weight.copy_(sharpness(features, directions) * directions[..., None, None])
