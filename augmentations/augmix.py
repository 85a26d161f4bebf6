"""AugMix: several chains of operations, mixed."""

import torch

from augmentations.operations import Ranges, amounts, apply_operations
from augmentations.sometimes import Sometimes, column, require, uniform

SCALE = 10
LEAST_SEVERITY = 0.1
LONGEST_CHAIN = 3
RANGES: Ranges = {
    "auto_contrast": (0, 0), "equalize": (0, 0), "rotate": (0, 30), "solarize": (1, 0), "posterize": (4, 0),
    "shear_x": (0, 0.3), "shear_y": (0, 0.3), "translate_x": (0, 1 / 3), "translate_y": (0, 1 / 3),
}  # fmt: skip
NAMES = list(RANGES)


class AugMix(Sometimes):
    """AugMix (https://arxiv.org/abs/1912.02781), without its Jensen-Shannon loss.

    new = m old + (1 - m) sum_i w_i chain_i(old), w ~ Dirichlet(alpha, ..., alpha), m ~ Beta(alpha, alpha). A chain has
    one to three of the paper's nine operations (auto contrast, equalize, posterize, rotate, solarize, shear and
    translate in x and y), each with its own strength, uniform in [0.1, severity] tenths of its range.
    """

    def __init__(self, *, severity: float = 3.0, width: int = 3, alpha: float = 1.0, p: float = 1.0) -> None:
        """Args:
        severity: largest strength of an operation, 0 to 10
        width: number of chains
        alpha: of the Dirichlet and Beta distributions, above 0; the larger, the more even the mixture
        p: probability of an image to be changed
        """
        super().__init__(p)
        require(f"augmix.severity={severity:g}", severity <= SCALE, f"between 0 and {SCALE}")
        require(f"augmix.alpha={alpha:g}", alpha > 0, "above 0")
        self.severity, self.width, self.alpha = severity, width, alpha

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
        """Returns operations and amounts, (count, chains, 3), and the shares of the chains and the original image."""
        shape = (count, self.width, LONGEST_CHAIN)
        operations = torch.randint(len(NAMES), shape)
        levels = uniform(operations.numel(), min(LEAST_SEVERITY, self.severity), self.severity).view(shape) / SCALE
        lengths = torch.randint(1, LONGEST_CHAIN + 1, (count, self.width, 1))
        drawn = amounts(NAMES, RANGES, operations, levels)
        operations = operations.masked_fill(torch.arange(LONGEST_CHAIN) >= lengths, -1)
        chains = torch.distributions.Dirichlet(torch.full((self.width,), self.alpha)).sample((count,))
        kept = torch.distributions.Beta(self.alpha, self.alpha).sample((count, 1))
        return operations, drawn, torch.cat([chains * (1 - kept), kept], dim=1)

    def augment(
        self, images: torch.Tensor, operations: torch.Tensor, amounts: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        mixed = images * column(shares[:, -1], images)
        for chain in range(self.width):
            changed = images.clone()
            for step in range(LONGEST_CHAIN):
                changed = apply_operations(changed, NAMES, operations[:, chain, step], amounts[:, chain, step])
            mixed.addcmul_(changed, column(shares[:, chain], images))
        return mixed.clamp_(0, 1)
