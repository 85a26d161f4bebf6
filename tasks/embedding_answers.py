"""From location embeddings of images to positions."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from commons.sphere import EARTH_RADIUS_KM
from losses.geolocation.geometry import CellGeometry
from model.embedding_network import EmbeddingNet
from model.location.decoder import LocationDecoder
from tasks.cell_answers import TOP, Answered

NEIGHBOURS, NEIGHBOUR_SCALE = 8, 20.0  # positions that `softmax` averages, and the scale of their cosines
BLOCK = 256  # images whose similarities with the gallery are computed at once


class Positions(NamedTuple):
    """Positions that can be answered.

    Attributes:
        vectors: unit vectors, float32 (m, 3).
        embeddings: embeddings of unit length, float32 (m, d).
        cells: the finest cell of each, int64 (m,).
    """

    vectors: torch.Tensor
    embeddings: torch.Tensor
    cells: torch.Tensor


class EmbeddingAnswers(nn.Module):
    """Maps images to answers, in rows as `tasks.cell_answers.CellAnswers` gives.

    `gallery` is the position with the most similar embedding; `softmax` the mean on the sphere of the 8 most similar
    ones; `decoder` what a trained decoder makes of the embedding; `region` is `decoder` if that lies in the most
    probable cell, within its reach, and else the most similar position in this cell. The probability of a position is
    the softmax of its cosine over the gallery, and that of a cell the sum over its positions.
    """

    def __init__(
        self, network: EmbeddingNet, positions: Positions, geometry: CellGeometry, decoder: LocationDecoder | None
    ) -> None:
        """Args:
        network: maps images to embeddings.
        positions: the gallery.
        geometry: geometry of the cells.
        decoder: maps embeddings to unit vectors; None for no such answer.
        """
        super().__init__()
        self.network, self.geometry, self.decoder = network, geometry, decoder
        for name, column in positions._asdict().items():
            self.register_buffer(f"gallery_{name}", column, persistent=False)
        self.names = ["gallery", "softmax", *(["decoder", "region"] if decoder is not None else [])]
        self.count = len(geometry.vectors)
        self.top = min(TOP, self.count)
        self.descriptor_dim = 4 * len(self.names) + 2 * self.top

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns float32 (b, descriptor_dim)."""
        return self._answer(self.network(images))

    @torch.inference_mode()
    def of_descriptors(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Returns rows, float32 (n, descriptor_dim) on the CPU, of descriptors of the encoder (n, d)."""
        self.network.eval()
        device = self.geometry.vectors.device
        return torch.cat([self._answer(self.network.outputs(own.to(device))).cpu() for own in descriptors.split(BLOCK)])

    def read(self, rows: torch.Tensor) -> Answered:
        """Splits rows, float32 (n, descriptor_dim)."""
        count = 4 * len(self.names)
        answers, cells, probabilities = rows.split([count, self.top, self.top], dim=1)
        by_name = dict(zip(self.names, answers.split(4, dim=1), strict=True))
        return Answered(
            {name: own[:, :3] for name, own in by_name.items()},
            {name: own[:, 3].long() for name, own in by_name.items()},
            cells.long(), probabilities, rows[:, :0],
        )  # fmt: skip

    def _answer(self, embeddings: torch.Tensor) -> torch.Tensor:
        cosines = F.normalize(embeddings.float(), dim=1) @ self.gallery_embeddings.T
        shares = (self.network.scale * cosines).softmax(dim=1)
        cells = shares.new_zeros(len(shares), self.count).index_add_(1, self.gallery_cells, shares)
        near = cosines.topk(min(NEIGHBOURS, cosines.shape[1]), dim=1)
        weights = (NEIGHBOUR_SCALE * near.values).softmax(dim=1)
        points = {
            "gallery": self.gallery_vectors[near.indices[:, 0]],
            "softmax": F.normalize((weights[:, :, None] * self.gallery_vectors[near.indices]).sum(dim=1), dim=1),
        }
        if self.decoder is not None:
            points["decoder"] = self.decoder(embeddings)
            points["region"] = self._within(points["decoder"], cosines, cells.argmax(dim=1))
        most = cells.topk(self.top, dim=1)
        columns = []
        for name in self.names:
            own = (points[name] @ self.geometry.vectors.T).argmax(dim=1)
            columns += [points[name], own[:, None].float()]
        return torch.cat([*columns, most.indices.float(), most.values], dim=1)

    def _within(self, decoded: torch.Tensor, cosines: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
        """Returns decoded points that lie in the reach of the best cells, else the most similar positions there."""
        inside = self.gallery_cells[None] == best[:, None]
        rows = cosines.masked_fill(~inside, -torch.inf).argmax(dim=1)
        middle = self.geometry.vectors[best]
        reach = self.geometry.reach_km[best].norm(dim=1).clamp_min(1.0)
        km = 2 * EARTH_RADIUS_KM * torch.asin(((decoded - middle).norm(dim=1) / 2).clamp(max=1))
        return torch.where((km <= reach)[:, None], decoded, self.gallery_vectors[rows])
