"""Cross entropy of one head for each resolution."""

import torch
import torch.nn.functional as F

from commons.errors import ArgumentError
from losses.geolocation.geometry import CellGeometry, CellLoss, CellOutputs, CellTruth


class MultiHeadCrossEntropy(CellLoss):
    """Cross entropy of a network with one head for each resolution (ISN,
    https://openaccess.thecvf.com/content_ECCV_2018/html/Eric_Muller-Budack_Geolocation_Estimation_of_ECCV_2018_paper.html).

        loss = sum over resolutions l of w_l CE(logits_l, cell_l),     the w_l sum up to 1

    Each resolution counts the photos that lie in one of its cells.
    """

    def __init__(self, geometry: CellGeometry, *, ratio: float = 1.0) -> None:
        """Args:
        geometry: geometry of the cells.
        ratio: weight of a resolution divided by that of the next finer one; TransLocator's 0.5, 0.3 and 0.2 is
            about 1.6.
        """
        super().__init__(geometry)
        if ratio <= 0:
            raise ArgumentError("cell_loss_options", f"ratio={ratio:g} must be above 0")
        levels = geometry.ancestors.shape[1]
        weights = torch.tensor([ratio ** (levels - 1 - level) for level in range(levels)])
        self.weights = (weights / weights.sum()).tolist()

    def forward(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        """Returns the scalar loss; 0 if no photo counts."""
        heads = [*outputs.coarse, outputs.logits]
        if len(heads) != len(self.weights):
            raise ValueError(f"{len(heads)} heads for {len(self.weights)} resolutions")
        total = sum(head.sum() for head in heads) * 0
        for weight, head, cells in zip(self.weights, heads, truth.cells.T, strict=True):
            if (cells >= 0).any():
                total = total + weight * F.cross_entropy(head.float(), cells, ignore_index=-1)
        return total
