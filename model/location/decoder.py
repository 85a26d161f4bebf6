"""From location embeddings to positions by a trained network."""

import torch
from torch import nn
from torch.nn.functional import normalize

HIDDEN = (512, 256)


class LocationDecoder(nn.Module):
    """Maps embeddings to unit vectors: linear layers with LayerNorm and LeakyReLU, then a vector of three numbers.

    Embeddings count by their direction, so those of images fit, too. The network answers in a frame whose first axis
    points to the middle of the region, and starts there: its output is small in a small region, and there is no cut at
    poles and antimeridian. Numbers of degrees as output reach a larger error (docs/location.md).
    """

    def __init__(self, embedding_dim: int, hidden: tuple[int, ...] = HIDDEN) -> None:
        """Args:
        embedding_dim: length of the embeddings.
        hidden: widths of the hidden layers.
        """
        super().__init__()
        layers, sizes = [], (embedding_dim, *hidden)
        for inputs, outputs in zip(sizes, hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.LeakyReLU()]
        self.embedding_dim = embedding_dim
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(sizes[-1], 3)
        self.register_buffer("frame", torch.eye(3))
        self.register_buffer("reach", torch.ones(()))

    def set_region(self, vectors: torch.Tensor) -> None:
        """Turns the frame to the middle of training positions, unit vectors (n, 3), and scales it to their spread."""
        mean = vectors.double().mean(dim=0)
        # Any two axes across do. The singular vectors of one row are an orthonormal frame with that row first.
        _, _, axes = torch.linalg.svd(mean[None])
        axes[0] = normalize(mean, dim=0)
        self.frame.copy_(axes)
        self.reach.copy_((vectors.double() @ axes[1:].T).square().mean().sqrt())

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Returns unit vectors, float32 (n, 3), of embeddings (n, d) of any length."""
        inputs = normalize(embeddings.float(), dim=1) * self.embedding_dim**0.5
        hidden = self.layers(inputs)
        with torch.autocast(hidden.device.type, enabled=False):  # bf16 would round to kilometres
            outputs = self.head(hidden.float()) * self.reach
            towards = torch.cat([1 + outputs[:, :1], outputs[:, 1:]], dim=1)
            return normalize(towards, dim=1) @ self.frame
