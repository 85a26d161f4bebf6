"""What losses over cells know: where cells lie, what a network predicts, where photos were taken."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from commons.sphere import EARTH_RADIUS_KM
from commons.sphere_tensors import unit_vectors


def distances_km(vectors: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Returns great-circle distances in kilometres, (b, K), of unit vectors (b, 3) and (K, 3).

    Through differences of vectors, which in float32 are right to a metre; inner products are not below a kilometre.
    """
    chord = torch.cdist(vectors, others, compute_mode="donot_use_mm_for_euclid_dist")
    return 2 * EARTH_RADIUS_KM * torch.asin((chord / 2).clamp(max=1))


class CellGeometry(nn.Module):
    """Where K cells lie, and which coarser cells hold them; tensors that follow the network to its device.

    Attributes:
        vectors: class points as unit vectors, (K, 3).
        latitude, longitude: class points in degrees, float64 (K,).
        reach_km: scale of offsets to the east and to the north, (K, 2).
        ancestors: cell of each resolution that holds each cell, int64 (K, levels), coarse to fine.
    """

    def __init__(
        self, latitude: np.ndarray, longitude: np.ndarray, reach_km: np.ndarray, ancestors: np.ndarray
    ) -> None:
        """Args:
        latitude, longitude: class points in degrees, (K,).
        reach_km: how far training photos lie from the class point, at most, (K, 2).
        ancestors: int (K, levels), coarse to fine; the last column counts from 0 to K - 1.
        """
        super().__init__()
        for name, column in (("latitude", latitude), ("longitude", longitude)):
            self.register_buffer(name, torch.as_tensor(np.array(column, np.float64)))
        self.register_buffer("vectors", unit_vectors(torch.stack([self.latitude, self.longitude], dim=-1)).float())
        self.register_buffer("reach_km", torch.as_tensor(np.array(reach_km, np.float32)))
        self.register_buffer("ancestors", torch.as_tensor(np.array(ancestors, np.int64)))


class CellOutputs(NamedTuple):
    """What a network predicts of b photos.

    Attributes:
        logits: logits of the finest cells, (b, K).
        coarse: logits of coarser cells, coarse to fine, one (b, K_l) for each resolution but the finest; () for a
            network with one head.
        offsets: raw offsets to the east and to the north in each cell, (b, K, 2), if the network has such a head.
    """

    logits: torch.Tensor
    coarse: tuple[torch.Tensor, ...] = ()
    offsets: torch.Tensor | None = None

    def take(self, rows: torch.Tensor) -> "CellOutputs":
        """Returns what is predicted of the photos `rows`, numbers or a mask."""
        offsets = None if self.offsets is None else self.offsets[rows]
        return CellOutputs(self.logits[rows], tuple(level[rows] for level in self.coarse), offsets)


class CellTruth(NamedTuple):
    """Where b photos were taken.

    Attributes:
        latitude, longitude: degrees, (b,), float64 where the device has it: float32 is right to a metre.
        cells: cell at each resolution, int64 (b, levels), coarse to fine, -1 for none.
    """

    latitude: torch.Tensor
    longitude: torch.Tensor
    cells: torch.Tensor

    def take(self, rows: torch.Tensor) -> "CellTruth":
        """Returns the photos `rows`, numbers or a mask."""
        return CellTruth(*(column[rows] for column in self))

    @property
    def vectors(self) -> torch.Tensor:
        """Positions as unit vectors, float32 (b, 3)."""
        return unit_vectors(torch.stack([self.latitude, self.longitude], dim=-1)).float()


class CellLoss(nn.Module):
    """A mean over photos. Photos in no cell of the finest resolution, and those without a position, do not count."""

    def __init__(self, geometry: CellGeometry) -> None:
        super().__init__()
        self.geometry = geometry

    def forward(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        """Returns the scalar loss; 0 if no photo counts."""
        known = self.counts(truth)
        if not known.any():
            return outputs.logits.sum() * 0
        return self.losses(outputs.take(known), truth.take(known)).mean()

    def counts(self, truth: CellTruth) -> torch.Tensor:
        """Returns which photos count, bool (b,)."""
        return (truth.cells[:, -1] >= 0) & truth.latitude.isfinite() & truth.longitude.isfinite()

    def losses(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        """Returns the loss of each photo, (b,); all of them count."""
        raise NotImplementedError
