"""Networks that classify images over cells of the earth: an encoder of images, and a linear head."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from model.head_network import HeadNet
from model.network import GeoLocalizationNet


@dataclass(frozen=True)
class CellHeads:
    """What a network predicts of a photo, all in one row of numbers.

    Attributes:
        resolutions: number of cells of each resolution, coarse to fine.
        coarse: whether coarser resolutions have logits of their own.
        offsets: whether each of the finest cells has an offset to the east and to the north.
    """

    resolutions: tuple[int, ...]
    coarse: bool = False
    offsets: bool = False

    @property
    def widths(self) -> list[int]:
        """The numbers of outputs: the finest cells, the coarser ones from coarse to fine, offsets."""
        *coarse, finest = self.resolutions
        return [finest, *(coarse if self.coarse else []), *([2 * finest] if self.offsets else [])]

    def split(self, outputs: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor | None]:
        """Splits outputs (b, sum(widths)).

        Returns:
            Logits of the finest cells (b, K), of each coarser one (b, K_l), and offsets (b, K, 2) or None.
        """
        logits, *others = outputs.split(self.widths, dim=1)
        offsets = others.pop().unflatten(1, (-1, 2)) if self.offsets else None
        return logits, tuple(others), offsets


class CellNet(HeadNet):
    """Encoder, layer normalisation and a linear layer: images to the outputs of `CellHeads`."""

    def __init__(self, encoder: GeoLocalizationNet, heads: CellHeads) -> None:
        outputs = sum(heads.widths)
        # The norm takes descriptors from the length of 1 to one that logits need.
        head = nn.Sequential(nn.LayerNorm(encoder.descriptor_dim), nn.Linear(encoder.descriptor_dim, outputs))
        nn.init.zeros_(head[1].bias)
        nn.init.normal_(head[1].weight, std=0.01)
        super().__init__(encoder, head, outputs)


class CellEnsemble(nn.Module):
    """The mean of the outputs of several networks over the same cells."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members, self.descriptor_dim = nn.ModuleList(members), members[0].descriptor_dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the outputs of images, float32 (b, descriptor_dim)."""
        return sum(member(images) for member in self.members) / len(self.members)
