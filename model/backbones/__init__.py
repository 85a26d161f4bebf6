"""Backbones: images in, feature map out.

Every backbone is a module with `channels` (of its feature map), `mean` and `std` (of its input, three numbers each),
`blocks()`, the parameters of its stages or blocks by name in the order that images pass them, and `frozen_blocks`, the
number of blocks that CosPlace does not train. One with `has_class_token` also has `tokens(images)`:
(b, channels, 1 + h * w), the class token before the positions of the map; where `class_tokens` of them stand for the
whole image, all of these come first.

This module holds the names; `building.build_backbone` builds a backbone.
"""

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
# DINOv2 with the layers that `model.backbones.adapters` adds.
ADAPTED_NAMES = {f"DINOv2_B_{change}": DINO_NAMES["DINOv2_B"] for change in ("LoPA", "MultiConv")} | {
    "DINOv2_B_reg_ImAge": DINO_NAMES["DINOv2_B_reg"]
}
TIMM_NAMES = {name: f"tf_{name.lower()}" for name in LITE_NAMES} | DINO_NAMES | ADAPTED_NAMES
BACKBONE_NAMES = [*TORCHVISION_NAMES, *TIMM_NAMES]


def timm_name(name: str) -> str | None:
    """Returns the timm name of a backbone, None if it is torchvision's."""
    return name.removeprefix("timm:") if name.startswith("timm:") else TIMM_NAMES.get(name)
