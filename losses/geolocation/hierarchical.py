"""Cross entropy at all resolutions, of one head over the finest cells."""

import torch

from losses.geolocation.geometry import CellLoss, CellOutputs, CellTruth


class HierarchicalCrossEntropy(CellLoss):
    """Cross entropy over the finest cells and over the coarser cells that hold them (OSV-5M,
    https://arxiv.org/abs/2404.18873).

        loss = -sum over resolutions of log( sum over the cells i within the photo's coarser cell of p_i )

    with p = softmax(logits) over the finest cells. Each resolution counts the photos that lie in one of its cells.
    """

    def forward(self, outputs: CellOutputs, truth: CellTruth) -> torch.Tensor:
        """Returns the scalar loss; 0 if no photo counts."""
        logits, ancestors = outputs.logits.float(), self.geometry.ancestors
        total = outputs.logits.sum() * 0
        for level in range(ancestors.shape[1]):
            known = truth.cells[:, level] >= 0
            if known.any():
                own = ancestors[:, level] == truth.cells[known, level, None]
                within = logits[known].masked_fill(~own, -torch.inf).logsumexp(dim=1)
                total = total + (logits[known].logsumexp(dim=1) - within).mean()
        return total
