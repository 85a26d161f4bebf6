"""Backbones: images in, feature map out.

Every backbone is a module with `channels` (of its map), `mean` and `std` (of its input, three numbers each),
`blocks()`, the parameters of its stages or blocks in the order that images pass them, and `frozen_blocks`, how many of
these CosPlace leaves as they are. One with `has_class_token` also has `tokens(images)`: (b, channels, 1 + h * w), the
class token before the positions of the map.
"""

import inspect
import math

import timm
import torch
import torchvision
from timm.models import group_parameters
from torch import nn
from torch.nn import functional as F

from commons.errors import UsageError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


# Up to conv4_3, layer2 and block 4, as in the reference implementation; half of the stages elsewhere.
FROZEN_BLOCKS = {"VGG": 10, "ResNet": 4, "EfficientNet": 5}
Blocks = list[list[nn.Parameter]]
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
BACKBONE_NAMES = [*TORCHVISION_NAMES, *LITE_NAMES]


def timm_name(name: str) -> str | None:
    """Returns the timm name of a backbone, None if it is torchvision's."""
    if name in LITE_NAMES:
        return f"tf_{name.lower()}"
    return name.removeprefix("timm:") if name.startswith("timm:") else None


def check_backbone_name(name: str) -> None:
    """Raises UsageError if there is no such backbone."""
    model = timm_name(name)
    if model is None and name not in TORCHVISION_NAMES:
        raise UsageError(f"--backbone {name}: unknown; choose from {', '.join(BACKBONE_NAMES)} or timm:<name>")
    if model is not None and not timm.is_model(model.split(".")[0]):
        close = ", ".join(timm.list_models(f"*{model[:6]}*")[:5])
        raise UsageError(f"--backbone {name}: timm knows no {model}" + (f"; did you mean {close}?" if close else ""))


def build_backbone(name: str) -> nn.Module:
    """Builds a backbone with random weights (`model.pretrained.load_pretrained` fills them in)."""
    check_backbone_name(name)
    model = timm_name(name)
    if model is not None:
        return TimmBackbone(model)
    whole = torchvision.models.get_model(name, weights=None)
    return TorchvisionViT(whole) if name.startswith("ViT") else TorchvisionBackbone(name, whole)


def freeze_first_blocks(backbone: nn.Module, trainable: int | None = None) -> None:
    """Freezes all but the last `trainable` blocks, or what CosPlace freezes.

    Raises:
        UsageError: if there are fewer blocks.
    """
    blocks = backbone.blocks()
    if trainable is not None and trainable > len(blocks):
        raise UsageError(f"--num_trainable_blocks {trainable}: this backbone has {len(blocks)}")
    for block in blocks[: backbone.frozen_blocks if trainable is None else len(blocks) - trainable]:
        for parameter in block:
            parameter.requires_grad = False


class TorchvisionBackbone(nn.Sequential):
    """A torchvision classifier without its pooling and its classification layers.

    Children are numbered as in the published CosPlace weights.
    """

    has_class_token = False

    def __init__(self, name: str, whole: nn.Module) -> None:
        layers = list(whole.children())
        if name.startswith("VGG"):
            layers = list(whole.features.children())[:-2]
        elif name.startswith("Swin"):
            layers = layers[:3]
        else:
            layers = layers[:-2]
        super().__init__(*layers)
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.channels = _output_channels(self)
        family = next((family for family in FROZEN_BLOCKS if name.startswith(family)), None)
        self.frozen_blocks = FROZEN_BLOCKS[family] if family else len(self.blocks()) // 2

    def blocks(self) -> Blocks:
        """Parameters of each layer or stage, from the input on."""
        stages = self.children() if len(self) > 3 else self[0].children()
        return [parameters for stage in stages if (parameters := list(stage.parameters()))]


class TorchvisionViT(nn.Module):
    """torchvision's vision transformer at any image size: tokens become a map, without the class token."""

    has_class_token = True

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.patch_embedding, self.class_token, self.encoder = whole.conv_proj, whole.class_token, whole.encoder
        self.patch, self.channels = whole.patch_size, whole.hidden_dim
        self.frozen_blocks = 1 + len(self.encoder.layers) // 2
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (side // self.patch for side in _multiple(x, self.patch))
        return self.tokens(x)[..., 1:].unflatten(2, (height, width))

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images to (b, channels, 1 + h * w), the class token first."""
        x = self.patch_embedding(to_multiple(x, self.patch))
        height, width = x.shape[-2:]
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        tokens = self.encoder.dropout(tokens + self._positions(height, width))
        return self.encoder.ln(self.encoder.layers(tokens)).transpose(1, 2)

    def _positions(self, height: int, width: int) -> torch.Tensor:
        """Position embeddings resampled bicubically from their square grid to (height, width)."""
        embedding = self.encoder.pos_embedding
        side = math.isqrt(embedding.shape[1] - 1)
        if (height, width) == (side, side):
            return embedding
        grid = embedding[:, 1:].transpose(1, 2).reshape(1, -1, side, side)
        grid = F.interpolate(grid, size=(height, width), mode="bicubic", antialias=True)
        return torch.cat([embedding[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def blocks(self) -> Blocks:
        """Parameters of the embeddings and of each block."""
        first = [*self.patch_embedding.parameters(), self.class_token, self.encoder.pos_embedding]
        return [first, *(list(block.parameters()) for block in self.encoder.layers)]


class TimmBackbone(nn.Module):
    """Any timm model: a convolutional map as it is, tokens reshaped to a map without their prefix tokens."""

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            options = _size_options(name)
            self.model = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **options)
        except (AssertionError, TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"--backbone timm:{name}: timm cannot give its feature map ({error})") from error
        config = self.model.pretrained_cfg
        self.mean, self.std = tuple(config.get("mean", IMAGENET_MEAN)), tuple(config.get("std", IMAGENET_STD))
        self.channels = self.model.num_features
        fixed = config.get("fixed_input_size", False) and not options
        self.fixed_size = list(config["input_size"][1:]) if fixed else None
        patch = getattr(getattr(self.model, "patch_embed", None), "patch_size", 1)
        self.patch = patch[0] if isinstance(patch, tuple) else patch
        self.channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
        # Before the positions stand the class token, if there is one, and then the registers.
        self.prefix = getattr(self.model, "num_prefix_tokens", 0)
        self.has_class_token = self.prefix > 0 and getattr(self.model, "cls_token", None) is not None
        # The stem and half of the stages: where CosPlace cuts ResNets and EfficientNets.
        self.frozen_blocks = (len(self.blocks()) + 2) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._sized(x)
        features = self.model.forward_features(x)
        if features.ndim == 3:
            tokens = features[:, self.prefix :]
            height, width = (side // self.patch for side in x.shape[-2:])
            if height * width != tokens.shape[1]:
                height = width = math.isqrt(tokens.shape[1])
            return tokens.transpose(1, 2).unflatten(2, (height, width))
        return features.permute(0, 3, 1, 2) if self.channels_last else features

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images to (b, channels, 1 + h * w), the class token first, without registers."""
        features = self.model.forward_features(self._sized(x))
        return torch.cat([features[:, :1], features[:, self.prefix :]], dim=1).transpose(1, 2)

    def _sized(self, x: torch.Tensor) -> torch.Tensor:
        return _resize(x, self.fixed_size) if self.fixed_size else to_multiple(x, self.patch)

    def blocks(self) -> Blocks:
        """Parameters of timm's coarse layer groups: the stem, then stages or blocks."""
        layers = group_parameters(self.model, self.model.group_matcher(coarse=True), reverse=True)
        parameters = dict(self.model.named_parameters())
        numbers = sorted(set(layers.values()))
        return [[parameters[name] for name, own in layers.items() if own == number] for number in numbers]


def _size_options(name: str) -> dict[str, bool]:
    """Options that let a timm model take images of any size, where it has them."""
    model_class = type(timm.create_model(name, pretrained=False))
    known = inspect.signature(model_class.__init__).parameters
    wanted = {"dynamic_img_size": True, "strict_img_size": False}
    return {option: value for option, value in wanted.items() if option in known}


def to_multiple(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Resizes images to the nearest multiple of the patch size, where they are not one already."""
    return _resize(images, _multiple(images, patch))


def _multiple(images: torch.Tensor, patch: int) -> list[int]:
    return [max(patch, _nearest(side, patch) * patch) for side in images.shape[-2:]]


def _nearest(side: int, patch: int) -> int:
    """round(side / patch), in integers only: exported networks compute it for every image."""
    whole, rest = side // patch, side % patch
    return whole + (2 * rest + whole % 2 + patch - 1) // (2 * patch)


def _resize(images: torch.Tensor, size: list[int]) -> torch.Tensor:
    if size == list(images.shape[-2:]):
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


@torch.no_grad()
def _output_channels(backbone: nn.Module) -> int:
    was_training = backbone.training
    channels = backbone.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
    backbone.train(was_training)
    return channels
