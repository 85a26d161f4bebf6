"""Regression of the position within a cell."""

import torch

from commons.errors import ArgumentError
from commons.sphere import EARTH_RADIUS_KM
from losses.geolocation.geometry import CellGeometry, CellLoss, CellOutputs, CellTruth


class OffsetRegression(CellLoss):
    """Regression of where in its cell a photo was taken (the hybrid head of OSV-5M, https://arxiv.org/abs/2404.18873).

        loss = |o - t|^2,     o = span tanh(raw offset of the photo's cell)

    t is the position of the photo from the point of its cell, in kilometres to the east and to the north, divided by
    the cell's reach. OSV-5M takes degrees, which break at the poles and at the antimeridian.
    """

    def __init__(self, geometry: CellGeometry, *, span: float = 1.2, least_km: float = 0.1) -> None:
        """Args:
        geometry: geometry of the cells.
        span: largest offset, in a cell's reach.
        least_km: least reach, for cells with a single training photo.
        """
        super().__init__(geometry)
        if span <= 0 or least_km <= 0:
            raise ArgumentError("cell_loss_options", f"span={span:g} and least_km={least_km:g} must be above 0")
        self.span, self.least_km = span, least_km

    def losses(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        if outputs.offsets is None:
            raise ValueError("offset needs a network that predicts offsets")
        cells = truth.cells[:, -1]
        rows = torch.arange(len(cells), device=cells.device)
        found = self.span * torch.tanh(outputs.offsets[rows, cells].float())
        start = self.geometry.latitude[cells], self.geometry.longitude[cells]
        kilometres = to_local_km(truth.latitude, truth.longitude, *start).float()
        return ((found - kilometres / self._reach(cells)) ** 2).sum(dim=1)

    def positions(self, cells: torch.Tensor, offsets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns latitude and longitude in degrees, float64 (b,), that offsets within cells answer.

        Args:
            cells: int64 (b,).
            offsets: raw, of these cells, (b, 2).
        """
        kilometres = self.span * torch.tanh(offsets.float()) * self._reach(cells)
        return from_local_km(kilometres.double(), self.geometry.latitude[cells], self.geometry.longitude[cells])

    def _reach(self, cells: torch.Tensor) -> torch.Tensor:
        return self.geometry.reach_km[cells].clamp_min(self.least_km)


def to_local_km(
    latitude: torch.Tensor, longitude: torch.Tensor, origin_latitude: torch.Tensor, origin_longitude: torch.Tensor
) -> torch.Tensor:
    """Returns kilometres to the east and to the north of origins, (b, 2), as `commons.sphere.to_local_km`."""
    phi, origin, turn = map(torch.deg2rad, (latitude, origin_latitude, longitude - origin_longitude))
    east = phi.cos() * turn.sin()
    north = origin.cos() * phi.sin() - origin.sin() * phi.cos() * turn.cos()
    sine = torch.hypot(east, north)
    cosine = origin.sin() * phi.sin() + origin.cos() * phi.cos() * turn.cos()
    scale = EARTH_RADIUS_KM * torch.atan2(sine, cosine) / torch.where(sine > 0, sine, 1)
    return torch.stack([scale * east, scale * north], dim=-1)


def from_local_km(
    kilometres: torch.Tensor, origin_latitude: torch.Tensor, origin_longitude: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns latitude and longitude in degrees, (b,), of kilometres to the east and to the north, (b, 2)."""
    distance = kilometres.norm(dim=-1)
    east, north = (kilometres / torch.where(distance > 0, distance, 1)[:, None]).T
    angle, phi, lam = distance / EARTH_RADIUS_KM, torch.deg2rad(origin_latitude), torch.deg2rad(origin_longitude)
    # In the plane of the origin's meridian: out of the earth, to the east, to the north.
    out, right, up = angle.cos(), angle.sin() * east, angle.sin() * north
    across, z = out * phi.cos() - up * phi.sin(), out * phi.sin() + up * phi.cos()
    latitude = torch.rad2deg(torch.atan2(z, torch.hypot(across, right)))
    longitude = torch.rad2deg(lam + torch.atan2(right, across))
    return latitude, torch.remainder(longitude + 180, 360) - 180
