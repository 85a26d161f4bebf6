"""The loss that teaches images the embeddings of their positions."""

import torch
from torch import nn
from torch.nn.functional import cosine_similarity


class CosineToLocation(nn.Module):
    """Mean of 1 - cos(image embedding, location embedding).

    The location encoder must be frozen: there are no negatives, and one that learned would make all embeddings the
    same. It is PyTorch's CosineEmbeddingLoss with target 1.
    """

    def forward(self, images: torch.Tensor, locations: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of image embeddings and wanted location embeddings, (b, d) each, of any length."""
        return (1 - cosine_similarity(images.float(), locations.detach().float(), dim=1)).mean()
