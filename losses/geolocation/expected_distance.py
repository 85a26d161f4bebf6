"""The square of the expected distance."""

import torch

from commons.errors import ArgumentError
from losses.geolocation.geometry import CellGeometry, CellLoss, CellOutputs, CellTruth, distances_km


class ExpectedDistance(CellLoss):
    """The square of the distance that a guess drawn from the prediction would have on average.

    loss = (sum over i of p_i d_i / scale_km)^2,     p = softmax(logits)

    d_i is the distance in kilometres from the point of the photo's own cell to that of cell i (great circle,
    https://en.wikipedia.org/wiki/Haversine_formula). Alone it has a small gradient at the start, where all p_i are
    small, so it is used beside cross_entropy.
    """

    def __init__(self, geometry: CellGeometry, *, scale_km: float = 100.0, from_photo: bool = False) -> None:
        """Args:
        geometry: geometry of the cells.
        scale_km: unit of distances.
        from_photo: whether d_i begins at the photo instead of at the point of its cell.
        """
        super().__init__(geometry)
        self.scale_km, self.from_photo = checked_scale(scale_km), from_photo

    def losses(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        distance = scaled_distances(self.geometry, truth, self.scale_km, self.from_photo)
        return (outputs.logits.float().softmax(dim=1) * distance).sum(dim=1) ** 2


def checked_scale(scale_km: float) -> float:
    """Returns the unit of distances. Raises ArgumentError if it is not above 0."""
    if scale_km <= 0:
        raise ArgumentError("cell_loss_options", f"scale_km={scale_km:g} must be above 0")
    return scale_km


def scaled_distances(geometry: CellGeometry, truth: CellTruth, scale_km: float, from_photo: bool) -> torch.Tensor:
    """Returns the distances from photos, or from the points of their cells, to all cells, (b, K), in `scale_km`."""
    start = truth.vectors if from_photo else geometry.vectors[truth.cells[:, -1]]
    return distances_km(start, geometry.vectors) / scale_km
