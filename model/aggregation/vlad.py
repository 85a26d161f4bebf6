"""VLAD."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.clusters import k_means, sampled_features

POINTS = 10_000  # of each cluster, at most, for k-means


class VLAD(nn.Module):
    """VLAD: residuals to the nearest centre of a vocabulary, as in AnyLoc (https://arxiv.org/abs/2308.00688).

        x = L2(x); k(x) = argmax over centres of cos(x, c_k); V_k = L2( sum over x with k(x) = k of (x - c_k) )
        descriptor = L2( W L2([V_1 ... V_clusters]) + b )

    Nothing is trained but the linear layer (W, b); without it, the descriptor has clusters * channels dimensions. The
    vocabulary, the centres c_k, comes from k-means: train.py fits it to the training images, eval.py to the database of
    each test set, unless the checkpoint or a file has one.

    Attributes:
        centroids: the vocabulary, (clusters, channels).
        given: whether it is part of the network; if not, it belongs to a test set.
    """

    def __init__(self, channels: int, descriptor_dim: int = 512, *, clusters: int = 32) -> None:
        """Builds the layer, with random directions for centres.

        Args:
            channels: number of channels of the feature map.
            descriptor_dim: outputs of the linear layer; 0 for none, the descriptor then has clusters * channels.
            clusters: number of centres.
        """
        super().__init__()
        self.descriptor_dim = descriptor_dim or clusters * channels
        self.register_buffer("centroids", F.normalize(torch.randn(clusters, channels), dim=1))
        self.register_buffer("given", torch.tensor(False))
        self.fc = nn.Linear(clusters * channels, descriptor_dim) if descriptor_dim else nn.Identity()

    @property
    def not_exportable(self) -> str:
        """The reason why the network cannot be exported; "" if it can."""
        return "" if self.given else "it has no vocabulary; eval.py fits one to each test set"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, h, w) to unit (b, descriptor_dim)."""
        x = F.normalize(x, dim=1).flatten(2).transpose(1, 2)
        nearest = (x @ F.normalize(self.centroids, dim=1).T).argmax(dim=2)
        members = (nearest[..., None] == torch.arange(len(self.centroids), device=x.device)).to(x.dtype)
        # sum of (x - c) = (sum of x) - (their number) c
        residuals = members.transpose(1, 2) @ x - members.sum(dim=1)[..., None] * self.centroids
        vlad = F.normalize(F.normalize(residuals, dim=2).flatten(1), dim=1)
        return F.normalize(self.fc(vlad), dim=1)

    @torch.no_grad()
    def initialise(self, maps: Iterable[torch.Tensor]) -> None:
        """Fits the vocabulary: spherical k-means of unit features; a centre is the mean of its features.

        Args:
            maps: (b, channels, h, w) of images; of each image up to 100 features are kept in memory.

        Raises:
            ArgumentError: if there are fewer features than clusters.
        """
        clusters = len(self.centroids)
        features = sampled_features(maps, clusters)
        directions = k_means(features, clusters, spherical=True, max_points_per_centroid=POINTS)
        nearest = (features @ directions.T).argmax(dim=1)
        sums = torch.zeros_like(directions).index_add_(0, nearest, features)
        counts = nearest.bincount(minlength=clusters)[:, None]
        self.set_vocabulary(torch.where(counts > 0, sums / counts.clamp(min=1), directions))

    def set_vocabulary(self, centroids: torch.Tensor) -> None:
        """Makes a vocabulary, (clusters, channels), part of the network.

        Raises:
            ArgumentError: if its shape is another.
        """
        if centroids.shape != self.centroids.shape:
            there, wanted = ("{} centres of {} channels".format(*own.shape) for own in (centroids, self.centroids))
            raise ArgumentError("vocabulary", f"it has {there}, but the network needs {wanted}")
        self.centroids.copy_(centroids)
        self.given.fill_(True)
