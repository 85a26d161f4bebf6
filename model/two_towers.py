"""Two networks that map street photos and pyramids of aerial images to descriptors of one space."""

from collections.abc import Sequence

import torch
from torch import nn

from commons.errors import ArgumentError
from model.network import GeoLocalizationNet


class TwoTowers(nn.Module):
    """A tower for street photos, and one for the aerial images of a place, which show more and more around it.

    One aerial network sees all levels. If its aggregation can pool several maps together (`over_levels`, as
    spatial_softmax does), the positions of all levels are those of one map (https://arxiv.org/abs/2409.16763).
    Otherwise each level has a descriptor, and a linear layer, which starts as their mean, makes one of them:

        descriptor = L2( sum over levels l of W_l d_l ),     W_l = identity / levels at first

    Attributes:
        street, aerial: the towers.
        levels: aerial images of a place.
        descriptor_dim: dimension of both towers.
    """

    def __init__(self, street: GeoLocalizationNet, aerial: GeoLocalizationNet, levels: int = 4) -> None:
        """Args:
        street, aerial: with descriptors of the same dimension; they may have the same backbone, or be the same.
        levels: aerial images of a place.

        Raises:
            ArgumentError: if the dimensions differ, or there is no level.
        """
        super().__init__()
        if street.descriptor_dim != aerial.descriptor_dim:
            raise ArgumentError(
                "fc_output_dim",
                f"street photos have {street.descriptor_dim} dimensions and aerial images {aerial.descriptor_dim}; "
                "they must be equal",
            )
        if levels < 1:
            raise ArgumentError("levels", f"{levels} must be 1 or more")
        self.street, self.aerial, self.levels, self.descriptor_dim = street, aerial, levels, street.descriptor_dim
        self.together = getattr(aerial.aggregation, "over_levels", False)
        if not self.together and levels > 1:
            self.mix = nn.Linear(levels * self.descriptor_dim, self.descriptor_dim, bias=False)
            self.mix.weight.data = torch.eye(self.descriptor_dim).repeat(1, levels) / levels

    @property
    def backbones(self) -> list[nn.Module]:
        """The backbones, one if it is shared."""
        return list(dict.fromkeys((self.street.backbone, self.aerial.backbone)))

    def forward(self, images: torch.Tensor, pyramids: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the descriptors of street photos (b, 3, h, w) or of aerial pyramids (b, levels, 3, h, w).

        Args:
            images: uint8, or float between 0 and 1.
            pyramids: pyramids of the places that street photos show, in training.

        Returns:
            float32 (b, descriptor_dim) of unit length; (b, 2, descriptor_dim) of street photos and pyramids.
        """
        if pyramids is not None:
            return torch.stack([self.street(images), self.embed_aerial(pyramids)], dim=1)
        return self.embed_aerial(images) if images.ndim == 5 else self.street(images)

    def embed_aerial(self, pyramids: torch.Tensor) -> torch.Tensor:
        """Returns the descriptors of aerial pyramids, (b, levels, 3, h, w), as `forward` does.

        Raises:
            ArgumentError: if they have another number of levels.
        """
        batch, levels = pyramids.shape[:2]
        if levels != self.levels:
            words = f"the network was built for {self.levels} aerial images a place, not {levels}"
            raise ArgumentError("levels", words)
        images = pyramids.flatten(0, 1)
        if not self.together:
            found = self.aerial(images)
            if levels > 1:
                with torch.autocast(found.device.type, enabled=False):
                    found = nn.functional.normalize(self.mix(found.view(batch, -1)), dim=1)
            return found
        features = self.aerial.features(images)
        with torch.autocast(features.device.type, enabled=False):
            # The levels one below the other: (b, channels, levels * h, w).
            rows = features.float().unflatten(0, (batch, levels)).transpose(1, 2).flatten(2, 3)
            return self.aerial.aggregation(rows)


class AerialTower(nn.Module):
    """The aerial tower alone, from pyramids (b, levels, 3, h, w) to descriptors (b, descriptor_dim).

    Attributes:
        levels: aerial images of a place.
        descriptor_dim: dimension of the descriptors.
        aggregation: aggregation of the tower.
    """

    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network, self.levels, self.descriptor_dim = network, network.levels, network.descriptor_dim

    @property
    def aggregation(self) -> nn.Module:
        """The aggregation layer of the tower."""
        return self.network.aerial.aggregation

    def forward(self, pyramids: torch.Tensor) -> torch.Tensor:
        """Returns the descriptors as `TwoTowers.embed_aerial` does."""
        return self.network.embed_aerial(pyramids)


def build_two_towers(
    backbone: str = "ConvNeXt_Base",
    fc_output_dim: int | None = 1024,
    aggregation: str = "spatial_softmax",
    aggregation_options: dict[str, int | float] | None = None,
    aerial_backbone: str | None = None,
    shared_encoder: bool = False,
    levels: int = 4,
    train_all_layers: bool = True,
    num_trainable_blocks: int | None = None,
    freeze: Sequence[str] | None = None,
    freeze_batch_norm: bool = False,
    cut_after: str | None = None,
) -> TwoTowers:
    """Builds two towers with random weights; the defaults are those of https://arxiv.org/abs/2409.16763.

    Args:
        backbone: backbone of street photos, a name as in `model.backbones`.
        fc_output_dim, aggregation, aggregation_options: of both towers, which each have their own parameters; see
            `GeoLocalizationNet`.
        aerial_backbone: backbone of aerial images; None for that of street photos.
        shared_encoder: whether both have one backbone with the same weights, as in https://arxiv.org/abs/2303.11851.
        levels: aerial images of a place.
        train_all_layers, num_trainable_blocks, freeze, freeze_batch_norm, cut_after: of both backbones; see
            `GeoLocalizationNet`.

    Raises:
        ArgumentError: if the parts do not fit together.
    """
    if shared_encoder and aerial_backbone not in (None, backbone):
        raise ArgumentError(
            "aerial_backbone", f"{aerial_backbone} differs from `backbone` {backbone}, so they cannot share weights"
        )
    options = {
        "train_all_layers": train_all_layers,
        "num_trainable_blocks": num_trainable_blocks,
        "freeze": freeze,
        "freeze_batch_norm": freeze_batch_norm,
        "cut_after": cut_after,
    }
    street, aerial = (
        GeoLocalizationNet(name, fc_output_dim, aggregation, aggregation_options, **options)
        for name in (backbone, aerial_backbone or backbone)
    )
    if shared_encoder:
        aerial.backbone = street.backbone
    return TwoTowers(street, aerial, levels)
