"""Positions from the predictions of a network over cells."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from commons.sphere_tensors import unit_vectors
from losses.geolocation.geometry import CellGeometry, CellOutputs
from losses.geolocation.offset import OffsetRegression
from model.cell_network import CellHeads

Answer = Callable[["CellAnswers", CellOutputs, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
TOP = 10  # of the most probable cells are kept


class Answered(NamedTuple):
    """Answers for n photos.

    Attributes:
        points: unit vectors (n, 3), by the name of the answer.
        point_cells: cells of these points, int64 (n,).
        cells: the most probable cells, int64 (n, top).
        probabilities: probabilities of these, (n, top).
        descriptors: descriptors of the encoder, (n, d), or (n, 0).
    """

    points: dict[str, torch.Tensor]
    point_cells: dict[str, torch.Tensor]
    cells: torch.Tensor
    probabilities: torch.Tensor
    descriptors: torch.Tensor


class CellAnswers(nn.Module):
    """Maps images to answers, so the outputs of all cells are not kept in memory.

    A row contains a unit vector and a cell number for each kind of answer, the most probable cells and their
    probabilities, and, if `descriptors`, the descriptor of the encoder.

    Attributes:
        names: kinds of answers that are possible with these cells and heads.
        top: number of cells kept, at most TOP.
        descriptor_dim: length of a row.
    """

    def __init__(
        self,
        network: nn.Module,
        heads: CellHeads,
        geometry: CellGeometry,
        offset: OffsetRegression | None = None,
        mean_of: int = 5,
        descriptors: bool = False,
    ) -> None:
        """Args:
        network: maps images to the outputs of `heads`; with `descriptors` a `model.cell_network.CellNet`.
        heads: names of its predictions.
        geometry: geometry of the cells.
        offset: loss with which the offsets were trained; None for a network without offsets.
        mean_of: number of the best cells that the answer `mean` averages.
        descriptors: whether rows contain descriptors.
        """
        super().__init__()
        self.network, self.heads, self.geometry, self.offset = network, heads, geometry, offset
        self.mean_of, self.descriptors = mean_of, descriptors
        possible = {"product": len(heads.resolutions) > 1, "offset": offset is not None}
        self.names = [name for name in ANSWERS if possible.get(name, True)]
        self.top = min(TOP, heads.resolutions[-1])
        own = network.encoder.descriptor_dim if descriptors else 0
        self.descriptor_dim = 4 * len(self.names) + 2 * self.top + own

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns float32 (b, descriptor_dim)."""
        if not self.descriptors:
            return self._answer(self.network(images))
        descriptors = self.network.encoder(images)
        return torch.cat([self._answer(self.network.outputs(descriptors)), descriptors], dim=1)

    @torch.inference_mode()
    def of_descriptors(self, descriptors: torch.Tensor, chunk: int = 4096) -> torch.Tensor:
        """Returns rows, float32 (n, descriptor_dim) on the CPU, of descriptors of the encoder (n, d)."""
        self.network.eval()
        device = self.geometry.vectors.device
        found = [self._answer(self.network.outputs(part.to(device))).cpu() for part in descriptors.split(chunk)]
        return torch.cat(found)

    def _answer(self, raw: torch.Tensor) -> torch.Tensor:
        outputs = CellOutputs(*self.heads.split(raw.float()))
        log_p = outputs.logits.log_softmax(dim=1)
        answers = [ANSWERS[name](self, outputs, log_p) for name in self.names]
        most = log_p.exp().topk(self.top, dim=1)
        columns = [column for cells, points in answers for column in (points, cells[:, None].float())]
        return torch.cat([*columns, most.indices.float(), most.values], dim=1)

    def read(self, rows: torch.Tensor) -> "Answered":
        """Splits rows, float32 (n, descriptor_dim)."""
        count = 4 * len(self.names)
        answers, cells, probabilities, descriptors = rows.split(
            [count, self.top, self.top, rows.shape[1] - count - 2 * self.top], dim=1
        )
        by_name = dict(zip(self.names, answers.split(4, dim=1), strict=True))
        return Answered(
            {name: own[:, :3] for name, own in by_name.items()},
            {name: own[:, 3].long() for name, own in by_name.items()},
            cells.long(), probabilities, descriptors,
        )  # fmt: skip


def best(own: CellAnswers, outputs: CellOutputs, log_p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The point of the most probable cell (PlaNet, https://arxiv.org/abs/1602.05314)."""
    cells = log_p.argmax(dim=1)
    return cells, own.geometry.vectors[cells]


def product(own: CellAnswers, outputs: CellOutputs, log_p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The cell with the largest product of probabilities over nested resolutions (f*, ISN, ECCV 2018).

    Without separate heads, the probability of a coarser cell is the sum over its finest cells.
    """
    total = log_p
    for level, size in enumerate(own.heads.resolutions[:-1]):
        above = own.geometry.ancestors[:, level]
        coarse = outputs.coarse[level].log_softmax(dim=1) if outputs.coarse else log_of_sums(log_p, above, size)
        total = total + coarse[:, above]
    cells = total.argmax(dim=1)
    return cells, own.geometry.vectors[cells]


def mean(own: CellAnswers, outputs: CellOutputs, log_p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean on the sphere of the points of the best cells, weighted by their probabilities."""
    found = log_p.exp().topk(min(own.mean_of, log_p.shape[1]), dim=1)
    points = (found.values[:, :, None] * own.geometry.vectors[found.indices]).sum(dim=1)
    return found.indices[:, 0], F.normalize(points, dim=1)


def offset(own: CellAnswers, outputs: CellOutputs, log_p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The point of the most probable cell, moved by its offset (the hybrid head of https://arxiv.org/abs/2404.18873)."""
    cells = log_p.argmax(dim=1)
    offsets = outputs.offsets[torch.arange(len(cells), device=cells.device), cells]
    return cells, unit_vectors(torch.stack(own.offset.positions(cells, offsets), dim=-1)).float()


def log_of_sums(log_p: torch.Tensor, groups: torch.Tensor, count: int) -> torch.Tensor:
    """Returns the logarithms of sums of probabilities, (b, count).

    Args:
        log_p: logarithms of probabilities, (b, K).
        groups: sum to which each belongs, int64 (K,).
        count: number of sums.
    """
    sums = log_p.new_zeros(len(log_p), count).index_add_(1, groups, log_p.exp())
    return sums.clamp_min(torch.finfo(sums.dtype).tiny).log()


ANSWERS: dict[str, Answer] = {"best": best, "product": product, "mean": mean, "offset": offset}
RETRIEVAL = "retrieval"
