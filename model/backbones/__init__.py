"""Backbones: images in, feature map out.

Every backbone is a module with `channels` (of its map), `mean` and `std` (of its input, three numbers each),
`blocks()`, the parameters of its stages or blocks by name in the order that images pass them, and `frozen_blocks`, how
many of these CosPlace leaves as they are. One with `has_class_token` also has `tokens(images)`:
(b, channels, 1 + h * w), the class token before the positions of the map.
"""

from collections.abc import Iterable

import timm
import torchvision
from torch import nn

from commons.errors import UsageError, did_you_mean
from model.backbones.common import check_block
from model.backbones.timm_models import TimmBackbone
from model.backbones.torchvision_models import TorchvisionBackbone, TorchvisionViT

TORCHVISION_NAMES = [
    "VGG16",
    *(f"ResNet{depth}" for depth in (18, 50, 101, 152)),
    *(f"EfficientNet_B{number}" for number in range(8)),
    *(f"EfficientNet_V2_{size}" for size in "SM"),
    *(f"MobileNet_V3_{size}" for size in ("Small", "Large")),
    *(f"ConvNeXt_{size}" for size in ("Tiny", "Small", "Base", "Large")),
    *(f"Swin_{size}" for size in ("T", "S", "B", "V2_T", "V2_S", "V2_B")),
    *(f"ViT_{size}" for size in ("B_16", "B_32", "L_16", "L_32")),
]
LITE_NAMES = [f"EfficientNet_Lite{number}" for number in range(3)]
VIT_SIZES = {"S": "small", "B": "base", "L": "large", "G": "giant"}
DINO_NAMES = (
    {f"DINOv2_{short}": f"vit_{size}_patch14_dinov2.lvd142m" for short, size in VIT_SIZES.items()}
    | {f"DINOv2_{short}_reg": f"vit_{size}_patch14_reg4_dinov2.lvd142m" for short, size in VIT_SIZES.items()}
    | {f"DINOv3_{short}": f"vit_{VIT_SIZES[short]}_patch16_dinov3.lvd1689m" for short in "SBL"}
    | {
        f"DINOv3_ConvNeXt_{size}": f"convnext_{size.lower()}.dinov3_lvd1689m"
        for size in ("Tiny", "Small", "Base", "Large")
    }
)
TIMM_NAMES = {name: f"tf_{name.lower()}" for name in LITE_NAMES} | DINO_NAMES
BACKBONE_NAMES = [*TORCHVISION_NAMES, *TIMM_NAMES]


def timm_name(name: str) -> str | None:
    """Returns the timm name of a backbone, None if it is torchvision's."""
    return name.removeprefix("timm:") if name.startswith("timm:") else TIMM_NAMES.get(name)


def check_backbone_name(name: str) -> None:
    """Raises UsageError if there is no such backbone."""
    model = timm_name(name)
    if model is None and name not in TORCHVISION_NAMES:
        near = did_you_mean(name, BACKBONE_NAMES)
        raise UsageError(f"--backbone {name}: unknown{near}; choose from {', '.join(BACKBONE_NAMES)} or timm:<name>")
    if model is not None and not timm.is_model(model.split(".")[0]):
        close = ", ".join(timm.list_models(f"*{model[:6]}*")[:5])
        raise UsageError(f"--backbone {name}: timm knows no {model}" + (f"; did you mean {close}?" if close else ""))


def build_backbone(name: str, cut_after: str | None = None) -> nn.Module:
    """Builds a backbone with random weights (`model.pretrained.load_pretrained` fills them in).

    Args:
        name: one of BACKBONE_NAMES, or timm:<name>.
        cut_after: the block that the backbone ends with; None for the whole. What comes behind it is dropped, the final
            normalisation of a transformer too.

    Raises:
        UsageError: if there is no such backbone or block.
    """
    check_backbone_name(name)
    model = timm_name(name)
    if model is not None:
        return TimmBackbone(model, cut_after)
    return torchvision_backbone(name, torchvision.models.get_model(name, weights=None), cut_after)


def torchvision_backbone(name: str, whole: nn.Module, cut_after: str | None = None) -> nn.Module:
    """Returns the backbone of a torchvision classifier."""
    if name.startswith("ViT"):
        return TorchvisionViT(whole, cut_after)
    return TorchvisionBackbone(name, whole, cut_after)


def freeze_first_blocks(backbone: nn.Module, trainable: int | None = None) -> None:
    """Freezes all but the last `trainable` blocks, or what CosPlace freezes.

    Raises:
        UsageError: if there are fewer blocks.
    """
    blocks = list(backbone.blocks().values())
    if trainable is not None and trainable > len(blocks):
        raise UsageError(f"--num_trainable_blocks {trainable}: this backbone has {len(blocks)}")
    for block in blocks[: backbone.frozen_blocks if trainable is None else len(blocks) - trainable]:
        for parameter in block:
            parameter.requires_grad = False


def freeze_blocks(backbone: nn.Module, names: Iterable[str]) -> None:
    """Freezes the blocks of these names and no others.

    Raises:
        UsageError: if there is no such block.
    """
    blocks = backbone.blocks()
    for name in names:
        check_block("--freeze", name, blocks)
        for parameter in blocks[name]:
            parameter.requires_grad = False
