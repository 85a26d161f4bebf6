"""Clusters of local features, which aggregations start from."""

from collections.abc import Iterable

import faiss
import numpy as np
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError

FEATURES_PER_IMAGE = 100
ITERATIONS = 100


def sampled_features(maps: Iterable[torch.Tensor], clusters: int) -> torch.Tensor:
    """Returns unit local features of images, at most 100 of each, drawn with a fixed seed, float32 (n, channels).

    Args:
        maps: (b, channels, h, w).
        clusters: how many clusters they are for.

    Raises:
        ArgumentError: if there are fewer features than clusters.
    """
    draw = torch.Generator().manual_seed(0)
    sampled = []
    for batch in maps:
        for features in F.normalize(batch.float(), dim=1).flatten(2).transpose(1, 2).cpu():
            sampled.append(features[torch.randperm(len(features), generator=draw)[:FEATURES_PER_IMAGE]])
    features = torch.cat(sampled)
    if len(features) < clusters:
        raise ArgumentError(
            "aggregation_options",
            f"clusters={clusters} is more than the number of local features of the images ({len(features)}); use fewer "
            "clusters or larger images",
        )
    return features


def k_means(features: torch.Tensor, clusters: int, **options: int | bool) -> torch.Tensor:
    """Returns the centres of k-means, float32 (clusters, channels).

    Args:
        features: (n, channels).
        clusters: number of centres.
        options: options of faiss.Kmeans.
    """
    kmeans = faiss.Kmeans(features.shape[1], clusters, niter=ITERATIONS, seed=0, min_points_per_centroid=1, **options)
    kmeans.train(np.ascontiguousarray(features.numpy()))
    return torch.from_numpy(kmeans.centroids)


def sharpness(features: torch.Tensor, directions: torch.Tensor) -> float:
    """Returns the factor of soft assignment with which the second-nearest cluster of an average feature weighs a
    hundredth of the nearest.

        alpha = ln(100) / mean(x . c_nearest - x . c_second)

    Args:
        features: unit (n, channels).
        directions: directions of the clusters, unit (clusters, channels).
    """
    nearest = (features @ directions.T).topk(min(2, len(directions)), dim=1).values
    gap = float((nearest[:, 0] - nearest[:, -1]).mean())
    return float(np.log(100)) / max(gap, 1e-3)  # the gap of identical features is 0
