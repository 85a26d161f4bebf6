"""Position embeddings of DINOv2, which timm resamples in another way."""

import math
from functools import partial

import torch
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

# Added to the number of patches when DINOv2 computes the step between positions.
OFFSET = 0.1


def resample_positions(embedding: torch.Tensor, height: int, width: int, others: int = 1) -> torch.Tensor:
    """Resamples position embeddings as DINOv2 without registers was trained (https://arxiv.org/abs/2304.07193).

    Bicubic without antialiasing, with side / (patches + 0.1) of the original's steps between positions; timm and DINOv2
    with registers resample with antialiasing and without the offset.

    Args:
        embedding: (1, others + side * side, channels), the class token's first.
        height, width: in patches.
        others: embeddings before those of the patches.

    Returns:
        (1, others + height * width, channels).
    """
    side = math.isqrt(embedding.shape[1] - others)
    if (height, width) == (side, side):
        return embedding
    grid = embedding[:, others:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = ((height + OFFSET) / side, (width + OFFSET) / side)
    grid = F.interpolate(grid.float(), scale_factor=scale, mode="bicubic").to(embedding.dtype)
    return torch.cat([embedding[:, :others], grid.flatten(2).transpose(1, 2)], dim=1)


def keep_positions(model: VisionTransformer) -> None:
    """Makes a timm DINOv2 resample its positions as DINOv2 without registers does."""
    model._pos_embed = partial(_embed_positions if model.reg_token is None else _embed_with_registers, model)


def _embed_with_registers(model: VisionTransformer, patches: torch.Tensor) -> torch.Tensor:
    """Maps patches (b, h, w, channels) to tokens with positions, class token and registers first."""
    first = torch.cat([model.cls_token, model.reg_token], dim=1).expand(patches.shape[0], -1, -1)
    positions = resample_positions(model.pos_embed, *patches.shape[1:3], others=0)
    return torch.cat([first, patches.flatten(1, 2) + positions], dim=1)


def _embed_positions(model: VisionTransformer, patches: torch.Tensor) -> torch.Tensor:
    """Maps patches (b, h, w, channels) to tokens with positions, (b, 1 + h * w, channels)."""
    tokens = torch.cat([model.cls_token.expand(len(patches), -1, -1), patches.flatten(1, 2)], dim=1)
    return tokens + resample_positions(model.pos_embed, *patches.shape[1:3])
