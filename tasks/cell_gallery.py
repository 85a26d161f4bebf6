"""Answers by retrieval: the most similar photo of a gallery within the most probable cells."""

from dataclasses import dataclass

import numpy as np
import torch

from cells.partition import Partition
from commons.sphere import unit_vectors
from datasets.places import Places
from retrieval.table import DescriptorTable
from tasks.cell_answers import RETRIEVAL, Answered


@dataclass(frozen=True)
class Gallery:
    """Photos with known positions.

    Attributes:
        descriptors: descriptors of unit length, float32 (m, d).
        points: positions as unit vectors, float32 (m, 3).
        cells: the finest cell of each, int64 (m,), -1 for none.
    """

    descriptors: torch.Tensor
    points: torch.Tensor
    cells: torch.Tensor

    @classmethod
    def of(cls, places: Places, table: DescriptorTable, partition: Partition) -> "Gallery":
        """Combines descriptors with the positions and cells of their photos."""
        latitude, longitude = (column[table.rows] for column in places.degrees)
        cells = partition.assign(latitude, longitude)[:, -1].astype(np.int64)
        points = unit_vectors(latitude, longitude).astype(np.float32)
        return cls(torch.from_numpy(np.array(table.vectors, np.float32)), *map(torch.from_numpy, (points, cells)))

    def answer(self, answered: Answered, count: int, device: torch.device | str) -> Answered:
        """Adds the position of the most similar photo within the `count` most probable cells.

        If the gallery has no photo in these cells, the answer is the point of the most probable cell.
        """
        cells = answered.cells[:, :count]
        rows = nearest_in_cells(answered.descriptors, cells, self.descriptors, self.cells, device)
        known = (rows >= 0)[:, None]
        points = torch.where(known, self.points[rows.clamp_min(0)], answered.points["best"])
        own = torch.where(known[:, 0], self.cells[rows.clamp_min(0)], answered.cells[:, 0])
        return answered._replace(
            points=answered.points | {RETRIEVAL: points}, point_cells=answered.point_cells | {RETRIEVAL: own}
        )


@torch.inference_mode()
def nearest_in_cells(
    queries: torch.Tensor,
    cells: torch.Tensor,
    gallery: torch.Tensor,
    gallery_cells: torch.Tensor,
    device: torch.device | str = "cpu",
    chunk: int = 256,
) -> torch.Tensor:
    """Returns for each query the most similar photo of a gallery within some cells, int64 (n,), -1 if there is none.

    Memory: `chunk` rows of similarities with the gallery.

    Args:
        queries: unit descriptors (n, d).
        cells: cells to search for each query, int64 (n, k).
        gallery: unit descriptors (m, d).
        gallery_cells: the cell of each of its photos, int64 (m,), -1 for none.
        device: device of the computation.
        chunk: queries at a time.
    """
    gallery, gallery_cells = gallery.to(device), gallery_cells.to(device)
    found = []
    for own, allowed in zip(queries.split(chunk), cells.split(chunk), strict=True):
        inside = torch.zeros(len(own), int(max(gallery_cells.max(), cells.max())) + 1, dtype=torch.bool, device=device)
        inside.scatter_(1, allowed.to(device), True)
        mask = inside[:, gallery_cells.clamp_min(0)] & (gallery_cells >= 0)
        similarity = (own.to(device) @ gallery.T).masked_fill(~mask, -torch.inf)
        value, row = similarity.max(dim=1)
        found.append(torch.where(value.isfinite(), row, -1).cpu())
    return torch.cat(found)
