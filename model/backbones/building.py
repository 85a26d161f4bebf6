"""Builds backbones by name, and freezes their blocks."""

from collections.abc import Iterable

import timm
import torchvision
from torch import nn

from commons.errors import ArgumentError, did_you_mean
from model.backbones import BACKBONE_NAMES, TORCHVISION_NAMES, timm_name
from model.backbones.adapters import CHANGES
from model.backbones.common import check_block
from model.backbones.timm_models import TimmBackbone
from model.backbones.torchvision_models import TorchvisionBackbone, TorchvisionViT


def check_backbone_name(name: str) -> None:
    """Raises ArgumentError if there is no such backbone."""
    model = timm_name(name)
    if model is None and name not in TORCHVISION_NAMES:
        near = did_you_mean(name, BACKBONE_NAMES)
        known = ", ".join(BACKBONE_NAMES)
        raise ArgumentError("backbone", f"{name} is unknown{near}; choose from {known} or timm:<name>")
    if model is not None and not timm.is_model(model.split(".")[0]):
        close = ", ".join(timm.list_models(f"*{model[:6]}*")[:5])
        hint = f"; did you mean {close}?" if close else ""
        raise ArgumentError("backbone", f"{name} is unknown: timm has no model {model}{hint}")


def build_backbone(name: str, cut_after: str | None = None) -> nn.Module:
    """Builds a backbone with random weights (`model.pretrained.load_pretrained` fills them in).

    Args:
        name: one of BACKBONE_NAMES, or timm:<name>.
        cut_after: the last block of the backbone; None for the whole backbone. What follows the block is dropped,
            including the final normalisation of a transformer. With .query, .key or .value, as in blocks.11.value, the
            backbone ends with what this block's attention computes from its input.

    Raises:
        ArgumentError: if there is no such backbone or block.
    """
    check_backbone_name(name)
    model = timm_name(name)
    if model is not None:
        return TimmBackbone(model, cut_after, CHANGES.get(name))
    return torchvision_backbone(name, torchvision.models.get_model(name, weights=None), cut_after)


def torchvision_backbone(name: str, whole: nn.Module, cut_after: str | None = None) -> nn.Module:
    """Returns the backbone of a torchvision classifier."""
    if name.startswith("ViT"):
        return TorchvisionViT(whole, cut_after)
    return TorchvisionBackbone(name, whole, cut_after)


def freeze_first_blocks(backbone: nn.Module, trainable: int | None = None) -> None:
    """Freezes all but the last `trainable` blocks; None freezes those that CosPlace freezes.

    Raises:
        ArgumentError: if there are fewer blocks.
    """
    blocks = list(backbone.blocks().values())
    if trainable is not None and trainable > len(blocks):
        raise ArgumentError("num_trainable_blocks", f"{trainable} is too many: this backbone has {len(blocks)} blocks")
    for block in blocks[: backbone.frozen_blocks if trainable is None else len(blocks) - trainable]:
        for parameter in block:
            parameter.requires_grad = False


def freeze_blocks(backbone: nn.Module, names: Iterable[str]) -> None:
    """Freezes the blocks with these names and no others.

    Raises:
        ArgumentError: if there is no such block.
    """
    blocks = backbone.blocks()
    for name in names:
        check_block("freeze", name, blocks)
        for parameter in blocks[name]:
            parameter.requires_grad = False
