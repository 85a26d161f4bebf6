"""Classifiers of torchvision as backbones."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from model.backbones.common import IMAGENET_MEAN, IMAGENET_STD, Blocks, SizedBackbone, check_block, map_channels

# Up to conv4_3, layer2 and block 4, as in the reference implementation; half of the stages elsewhere.
FROZEN_BLOCKS = {"VGG": 10, "ResNet": 4, "EfficientNet": 5}


class TorchvisionBackbone(nn.Sequential):
    """A torchvision classifier without its pooling and its classification layers.

    Children are numbered as in the published CosPlace weights.
    """

    has_class_token = False

    def __init__(self, name: str, whole: nn.Module, cut_after: str | None = None) -> None:
        if name.startswith("VGG"):
            layers = list(whole.features.children())[:-2]
            paths = _vgg_names(layers)
        else:
            named = dict(list(whole.named_children())[: 3 if name.startswith("Swin") else -2])
            layers = list(named.values())
            paths = {child: str(number) for number, child in enumerate(named)}
            if "features" in named:
                paths = {f"features.{number}": f"0.{number}" for number in range(len(layers[0]))}
            else:
                paths = {child: path for child, path in paths.items() if list(named[child].parameters())}
        family = next((family for family in FROZEN_BLOCKS if name.startswith(family)), None)
        frozen_blocks = FROZEN_BLOCKS[family] if family else len(paths) // 2
        if cut_after is not None:
            check_block("cut_after", cut_after, paths)
            layers = _cut(layers, paths[cut_after])
            kept = list(paths).index(cut_after) + 1
            paths = dict(list(paths.items())[:kept])
        super().__init__(*layers)
        self._paths, self.frozen_blocks = paths, frozen_blocks
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.channels = map_channels(self, (name, cut_after))

    def blocks(self) -> Blocks:
        """Parameters of each layer or stage by name, from the input on."""
        return {name: list(self.get_submodule(path).parameters()) for name, path in self._paths.items()}


def _vgg_names(layers: list[nn.Module]) -> dict[str, str]:
    """Names the convolutions conv1_1, conv1_2, conv2_1, ... by the poolings between them."""
    paths, stage, number = {}, 1, 0
    for path, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            stage, number = stage + 1, 0
        elif isinstance(layer, nn.Conv2d):
            number += 1
            paths[f"conv{stage}_{number}"] = str(path)
    return paths


def _cut(layers: list[nn.Module], path: str) -> list[nn.Module]:
    """Ends `layers` with the one at `path`; the final normalisation of Swin, built for all channels, is removed."""
    first, _, stage = path.partition(".")
    if not stage:
        return layers[: int(first) + 1]
    behind = [nn.Identity() if list(layer.parameters()) else layer for layer in layers[1:]]
    return [layers[0][: int(stage) + 1], *behind]


class TorchvisionViT(SizedBackbone):
    """torchvision's vision transformer for any image size; tokens become a feature map, without the class token."""

    has_class_token = True

    def __init__(self, whole: nn.Module, cut_after: str | None = None) -> None:
        super().__init__()
        self.patch_embedding, self.class_token, self.encoder = whole.conv_proj, whole.class_token, whole.encoder
        self.patch, self.channels = whole.patch_size, whole.hidden_dim
        self.frozen_blocks = 1 + len(self.encoder.layers) // 2
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        if cut_after is not None:
            names = list(self.blocks())[1:]
            check_block("cut_after", cut_after, names)
            self.encoder.layers = self.encoder.layers[: names.index(cut_after) + 1]
            self.encoder.ln = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.sized(x)
        height, width = (side // self.patch for side in x.shape[-2:])
        return self.tokens(x)[..., 1:].unflatten(2, (height, width))

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images to (b, channels, 1 + h * w), the class token first."""
        x = self.patch_embedding(self.sized(x))
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
        """Parameters of the embeddings and of each block by name."""
        stem = [*self.patch_embedding.parameters(), self.class_token, self.encoder.pos_embedding]
        blocks = {f"blocks.{number}": list(layer.parameters()) for number, layer in enumerate(self.encoder.layers)}
        return {"stem": stem} | blocks
