"""Position embeddings of DINOv2, which timm resamples in another way."""

import math
from functools import partial

import torch
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

# Added to the number of patches when DINOv2 computes the step between positions.
OFFSET = 0.1


def resample_positions(embedding: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resamples position embeddings as DINOv2 without registers was trained (https://arxiv.org/abs/2304.07193).

    Bicubic without antialiasing, with side / (patches + 0.1) of the original's steps between positions; timm and DINOv2
    with registers resample with antialiasing and without the offset.

    Args:
        embedding: (1, 1 + side * side, channels), the class token's first.
        height, width: in patches.

    Returns:
        (1, 1 + height * width, channels).
    """
    side = math.isqrt(embedding.shape[1] - 1)
    if (height, width) == (side, side):
        return embedding
    grid = embedding[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = ((height + OFFSET) / side, (width + OFFSET) / side)
    grid = F.interpolate(grid.float(), scale_factor=scale, mode="bicubic").to(embedding.dtype)
    return torch.cat([embedding[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def keep_positions(model: VisionTransformer) -> None:
    """Makes a timm DINOv2 without registers resample its positions as DINOv2 does."""
    model._pos_embed = partial(_embed_positions, model)


def _embed_positions(model: VisionTransformer, patches: torch.Tensor) -> torch.Tensor:
    """Maps patches (b, h, w, channels) to tokens with positions, (b, 1 + h * w, channels)."""
    tokens = torch.cat([model.cls_token.expand(len(patches), -1, -1), patches.flatten(1, 2)], dim=1)
    return tokens + resample_positions(model.pos_embed, *patches.shape[1:3])
