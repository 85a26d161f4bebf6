"""SALAD."""

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.head import check_dimension

HIDDEN = 512
SINKHORN_STEPS = 3


def optimal_transport(scores: torch.Tensor, dust_bin: torch.Tensor, steps: int = SINKHORN_STEPS) -> torch.Tensor:
    """Assigns positions to clusters with Sinkhorn's algorithm (https://arxiv.org/abs/2311.15937, section 3.2).

    Every position has mass 1 to give, every cluster takes mass 1, and a dustbin takes the rest.

    Args:
        scores: (b, clusters, positions), more positions than clusters.
        dust_bin: score of the dustbin for every position, a scalar.
        steps: how often rows and columns are scaled.

    Returns:
        Assignments (b, clusters, positions), between 0 and 1, without the dustbin's.
    """
    batch, clusters, positions = scores.shape
    scores = torch.cat([scores, dust_bin.expand(batch, 1, positions)], dim=1)
    dust_bin_mass = scores.new_full((1,), positions - clusters)
    log_mass = torch.cat([scores.new_ones(clusters), dust_bin_mass]).log()
    columns = scores.new_zeros(batch, 1, positions)
    for _ in range(steps):
        rows = log_mass.view(1, -1, 1) - (scores + columns).logsumexp(dim=2, keepdim=True)
        columns = -(scores + rows).logsumexp(dim=1, keepdim=True)
    return (scores + rows + columns).exp()[:, :-1]


class SALAD(nn.Module):
    """SALAD: optimal transport of local features to clusters, and the class token (https://arxiv.org/abs/2311.15937).

        P = Sinkhorn(score(x), dustbin); V_k = L2( sum over positions of P_k f(x) )
        descriptor = L2( [ L2(g(token)), V_1 ... V_clusters ] ), with perceptrons f, g and score

    It has token_dim + clusters * cluster_dim dimensions. Tensors are named as in the published weights.
    """

    needs_class_token = True

    def __init__(
        self,
        channels: int,
        descriptor_dim: int = 0,
        *,
        clusters: int = 64,
        cluster_dim: int = 128,
        token_dim: int = 256,
        dropout: float = 0.3,
    ) -> None:
        """Builds the layers.

        Args:
            channels: number of channels of the tokens.
            descriptor_dim: token_dim + clusters * cluster_dim, or 0.
            clusters: number of clusters, fewer than positions of the map.
            cluster_dim: dimension of each cluster's vector.
            token_dim: dimension that the class token is mapped to.
            dropout: share of hidden values that training drops.
        """
        super().__init__()
        self.descriptor_dim = token_dim + clusters * cluster_dim
        arithmetic = f"token_dim {token_dim} + clusters {clusters} x cluster_dim {cluster_dim}"
        rest = (descriptor_dim - token_dim) / clusters
        check_dimension(descriptor_dim, self.descriptor_dim, arithmetic, "cluster_dim", rest)
        self.token_features = nn.Sequential(nn.Linear(channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, token_dim))
        if dropout > 1:
            raise ArgumentError("aggregation_options", f"dropout={dropout:g} must be at most 1")
        self.cluster_features = _perceptron(channels, cluster_dim, dropout)
        self.score = _perceptron(channels, clusters, dropout)
        self.dust_bin = nn.Parameter(torch.tensor(1.0))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (b, channels, 1 + n), the class token first, to unit (b, descriptor_dim).

        Raises:
            ArgumentError: if there are no more positions than clusters.
        """
        token, local = tokens[..., 0], tokens[..., 1:].unsqueeze(-1)
        scores = self.score(local).flatten(2)
        clusters, positions = scores.shape[1:]
        if positions <= clusters:
            raise ArgumentError(
                "aggregation",
                f"an image has {positions} local features, too few for {clusters} clusters; use larger images "
                f"(`image_size`), or `aggregation_options` clusters={max(1, positions // 4)}",
            )
        assignments = optimal_transport(scores, self.dust_bin)
        vectors = self.cluster_features(local).flatten(2) @ assignments.transpose(1, 2)
        scene = F.normalize(self.token_features(token), dim=1)
        return F.normalize(torch.cat([scene, F.normalize(vectors, dim=1).flatten(1)], dim=1), dim=1)


def _perceptron(channels: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, HIDDEN, 1), nn.Dropout(dropout), nn.ReLU(), nn.Conv2d(HIDDEN, outputs, 1))
