"""Cross entropy over the finest cells."""

import torch
import torch.nn.functional as F

from losses.checks import check_range
from losses.geolocation.geometry import CellGeometry, CellLoss, CellOutputs, CellTruth


class CellCrossEntropy(CellLoss):
    """Cross entropy over the finest cells, the loss of PlaNet (https://arxiv.org/abs/1602.05314).

    loss = -log p_n, with p = softmax(logits) and the photo's cell n
    """

    def __init__(self, geometry: CellGeometry, *, smoothing: float = 0.0) -> None:
        """Args:
        geometry: geometry of the cells.
        smoothing: share of the label that all cells get evenly (https://arxiv.org/abs/1512.00567), 0 for none.
        """
        super().__init__(geometry)
        check_range("smoothing", smoothing, 0, 1, "cell_loss_options")
        self.smoothing = smoothing

    def losses(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        logits, cells = outputs.logits.float(), truth.cells[:, -1]
        return F.cross_entropy(logits, cells, reduction="none", label_smoothing=self.smoothing)
