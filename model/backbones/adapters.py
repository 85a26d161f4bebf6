"""Changes of vision transformers that networks of place recognition are published with.

A change takes a timm `VisionTransformer`, adds layers to its blocks and replaces its `forward_features`. It returns the
number of tokens that it puts before all others.
"""

from collections.abc import Callable
from functools import partial

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from model.backbones.dinov2 import keep_positions

Change = Callable[[VisionTransformer], int]
SIDE_CHANNELS, SIDE_SCALE = 4, 0.5
CONVOLUTION_SCALE = 0.2
AGGREGATION_TOKENS = 8


class SideAdapter(nn.Module):
    """Two linear layers with few channels between them, beside a block: z + 0.5 W2 gelu(W1 z)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.D_fc1 = nn.Linear(channels, SIDE_CHANNELS)
        self.D_fc2 = nn.Linear(SIDE_CHANNELS, channels)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z + SIDE_SCALE * self.D_fc2(F.gelu(self.D_fc1(z)))


class Convolution(nn.Sequential):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, channels: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, outputs, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)
        self.relu = nn.ReLU()


class ConvolutionAdapter(nn.Module):
    """Convolutions of several sizes over the patches, between two linear layers.

    x = relu(W1 tokens); output = W2 (x + m), with m the convolved x for patches and x itself for the class token
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.D_fc1 = nn.Linear(channels, inner)
        self.branch1 = Convolution(inner, inner // 2, 1)
        self.branch2, self.branch3 = (
            nn.Sequential(Convolution(inner, inner // 16, 1), Convolution(inner // 16, inner // 4, kernel))
            for kernel in (3, 5)
        )
        self.D_fc2 = nn.Linear(inner, channels)

    def forward(self, tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Maps (b, 1 + height * width, channels), the class token first, to the same shape."""
        x = self.D_fc1(tokens).relu()
        patches = x[:, 1:].transpose(1, 2).unflatten(2, (height, width))
        mixed = torch.cat([self.branch1(patches), self.branch2(patches), self.branch3(patches)], dim=1)
        return self.D_fc2(x + torch.cat([x[:, :1], mixed.flatten(2).transpose(1, 2)], dim=1))


def add_side_adapters(model: VisionTransformer) -> int:
    """Adds the low-rank parallel adapters (LoPA) of EDTformer (https://arxiv.org/abs/2412.00784).

        x_i = block_i(x_{i-1}); y_i = z + 0.5 W2 gelu(W1 z) with z = y_{i-1} + x_i; y_0 = x_0

    The output is the normalised y of the last block, so the gradients of training skip the blocks.
    """
    for block in model.blocks:
        block.side = SideAdapter(model.embed_dim)
    model.forward_features = partial(_with_side_adapters, model)
    return 0


def _with_side_adapters(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    x = y = model._pos_embed(model.patch_embed(images))
    for block in model.blocks:
        x = block(x)
        y = block.side(y + x)
    return model.norm(y)


def add_convolution_adapters(model: VisionTransformer) -> int:
    """Adds the multi-scale convolution adapters of CricaVPR (https://arxiv.org/abs/2402.19231), beside each MLP.

    x = x + scale2 (MLP(n) + 0.2 adapter(n)), with n = norm2(x)
    """
    for block in model.blocks:
        block.adapter = ConvolutionAdapter(model.embed_dim)
    model.forward_features = partial(_with_convolution_adapters, model)
    return 0


def _with_convolution_adapters(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    patches = model.patch_embed(images)
    height, width = patches.shape[1:3]
    x = model._pos_embed(patches)
    for block in model.blocks:
        x = x + block.ls1(block.attn(block.norm1(x)))
        inner = block.norm2(x)
        x = x + block.ls2(block.mlp(inner) + CONVOLUTION_SCALE * block.adapter(inner, height, width))
    return model.norm(x)


def add_aggregation_tokens(model: VisionTransformer) -> int:
    """Adds the aggregation tokens of ImAge (https://arxiv.org/abs/2511.06024).

    Eight learned tokens join the others after two thirds of the blocks. Their outputs stand for the whole image.
    """
    keep_positions(model)
    before = 2 * len(model.blocks) // 3
    tokens = torch.empty(1, AGGREGATION_TOKENS, model.embed_dim)
    model.blocks[before].aggregation_tokens = nn.Parameter(nn.init.normal_(tokens, std=1e-6))
    model.forward_features = partial(_with_aggregation_tokens, model)
    return AGGREGATION_TOKENS


def _with_aggregation_tokens(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    x = model._pos_embed(model.patch_embed(images))
    for block in model.blocks:
        tokens = getattr(block, "aggregation_tokens", None)
        if tokens is not None:
            x = torch.cat([tokens.expand(x.shape[0], -1, -1), x], dim=1)
        x = block(x)
    return model.norm(x)


class AttentionFacet(nn.Module):
    """The queries, the keys or the values of a block's attention for all tokens, in place of the block."""

    def __init__(self, block: nn.Module, facet: str) -> None:
        super().__init__()
        self.norm1 = block.norm1
        self.attn = nn.ModuleDict({"qkv": block.attn.qkv})
        self.number = FACETS.index(facet)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps tokens (b, n, channels) to (b, n, channels)."""
        return self.attn["qkv"](self.norm1(x)).chunk(len(FACETS), dim=-1)[self.number]


FACETS = ("query", "key", "value")
CHANGES: dict[str, Change] = {
    "DINOv2_B_LoPA": add_side_adapters,
    "DINOv2_B_MultiConv": add_convolution_adapters,
    "DINOv2_B_reg_ImAge": add_aggregation_tokens,
}
