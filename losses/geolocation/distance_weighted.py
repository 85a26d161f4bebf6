"""Wrong cells, weighted by their distance."""

import torch

from losses.geolocation.expected_distance import checked_scale, scaled_distances
from losses.geolocation.geometry import CellGeometry, CellLoss, CellOutputs, CellTruth


class DistanceWeighted(CellLoss):
    """Cross entropy of the cells where the photo is not, weighted by distance.

    loss = -sum over i of log(1 - p_i) d_i / scale_km,     p = softmax(logits)

    d_i is the distance in kilometres from the point of the photo's own cell to that of cell i (great circle,
    https://en.wikipedia.org/wiki/Haversine_formula), 0 for its own cell.
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
        return -(log_of_rest(outputs.logits.float()) * distance).sum(dim=1)


def log_of_rest(logits: torch.Tensor) -> torch.Tensor:
    """Returns log(1 - softmax(logits)), (b, K), right and with finite gradients where a probability is almost 1.

    Of a single class the probability can be above 1/2. There, 1 - p would cancel, and it is the sum of the others.
    """
    if logits.shape[1] == 1:
        return torch.zeros_like(logits)
    log_p = logits.log_softmax(dim=1)
    best = logits.argmax(dim=1, keepdim=True)
    is_best = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, best, True)
    others = logits.masked_fill(is_best, -torch.inf).logsumexp(dim=1, keepdim=True)
    rest = torch.log1p(-log_p.masked_fill(is_best, -torch.inf).exp())
    return torch.where(is_best, others - logits.logsumexp(dim=1, keepdim=True), rest)
