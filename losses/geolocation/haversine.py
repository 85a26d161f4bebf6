"""Cross entropy with labels smoothed by distance."""

import torch

from commons.errors import ArgumentError
from losses.geolocation.geometry import CellGeometry, CellLoss, CellOutputs, CellTruth, distances_km


class HaversineSmoothing(CellLoss):
    """Haversine label smoothing (PIGEON, https://arxiv.org/abs/2307.05845, eq. 2).

    With the distance d_i from the photo to the point of cell i, and of its own cell n:

        loss = -sum over i of y_i log p_i,     y_i = e^(-(d_i - d_n) / tau),     p = softmax(logits)

    Normalised, y is divided by its sum, and the subtracted distance has no effect. PIGEON does not normalise, so photos
    where cells are dense weigh more; its published code subtracts the least distance instead of d_n, so that no label
    is above 1. PIGEON: tau=75, normalise=false; PIGEOTTO: tau=65.
    """

    def __init__(
        self, geometry: CellGeometry, *, tau: float = 75.0, normalise: bool = True, nearest: bool = False
    ) -> None:
        """Args:
        geometry: geometry of the cells.
        tau: kilometres over which a label falls to 1 / e.
        normalise: whether the labels of a photo sum up to 1.
        nearest: without normalise, whether to subtract the least distance instead of that of the photo's cell.
        """
        super().__init__(geometry)
        if tau <= 0:
            raise ArgumentError("cell_loss_options", f"tau={tau:g} must be above 0")
        self.tau, self.normalise, self.nearest = tau, normalise, nearest

    def counts(self, truth: CellTruth) -> torch.Tensor:
        """Returns which photos count: without their own cell's distance, photos in no cell do, too."""
        if self.normalise or self.nearest:
            return truth.latitude.isfinite() & truth.longitude.isfinite()
        return super().counts(truth)

    def losses(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        return -(self.labels(truth) * outputs.logits.float().log_softmax(dim=1)).sum(dim=1)

    def labels(self, truth: CellTruth) -> torch.Tensor:
        """Returns the smoothed labels, (b, K)."""
        distance = distances_km(truth.vectors, self.geometry.vectors)
        if self.normalise:
            return (-distance / self.tau).softmax(dim=1)
        if self.nearest:
            reference = distance.min(dim=1, keepdim=True).values
        else:
            reference = distance.gather(1, truth.cells[:, -1:])
        return (-(distance - reference) / self.tau).exp()
