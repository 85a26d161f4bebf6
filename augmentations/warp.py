"""Sampling images through homographies, one an image."""

from collections.abc import Iterable
from itertools import groupby

import torch
from torch import nn
from torch.nn import functional as F

from augmentations.sometimes import Sometimes, on


def warp(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Samples images bilinearly; what lies outside of an image is its reflection.

    Args:
        images: float (b, 3, h, w).
        matrices: (b, 3, 3), from homogeneous (x, y, 1) of the result to those of the image. x and y are -1 and 1 at the
            borders.
    """
    height, width = images.shape[-2:]
    x, y = (torch.arange(1 - size, size, 2, device=images.device) / size for size in (width, height))
    along, down, constant = on(matrices, images.device).view(-1, 3, 3, 1, 1).unbind(2)
    mapped = along * x + (down * y.unsqueeze(1) + constant)
    grid = images.new_empty(len(images), height, width, 2)
    for coordinate in range(2):
        torch.div(mapped[:, coordinate], mapped[:, 2], out=grid[..., coordinate])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False).clamp_(0, 1)


def rotations(degrees: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Matrices for `warp` (b, 3, 3) that turn images of this shape counter-clockwise about their centre."""
    angle = torch.deg2rad(degrees)
    matrices = torch.eye(3).repeat(len(degrees), 1, 1)
    matrices[:, 0, 0] = matrices[:, 1, 1] = angle.cos()
    matrices[:, 0, 1], matrices[:, 1, 0] = -angle.sin() * height / width, angle.sin() * width / height
    return matrices


class Warp(Sometimes):
    """An augmentation that is a homography an image."""

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor]:
        """Returns matrices as `warp` takes them."""
        raise NotImplementedError

    def augment(self, images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
        return warp(images, matrices)


class WarpChain(Warp):
    """Warps that follow each other, as one: images are sampled once, which is faster and blurs less."""

    def __init__(self, *warps: Warp) -> None:
        super().__init__(p=1.0)
        self.warps = nn.ModuleList(warps)

    def choose(self, count: int, height: int, width: int) -> tuple[torch.Tensor, tuple[torch.Tensor]]:
        changed, matrices = torch.zeros(count, dtype=torch.bool), torch.eye(3).repeat(count, 1, 1)
        for part in self.warps:
            chosen, (own,) = part.choose(count, height, width)
            matrices[chosen] = matrices[chosen] @ own[chosen]
            changed[chosen] = True
        return changed.nonzero().squeeze(1), (matrices,)


def join_warps(parts: Iterable[nn.Module]) -> list[nn.Module]:
    """Returns the parts of an augmentation with those that are warps and follow each other joined."""
    joined = []
    for is_warp, neighbours in groupby(parts, lambda part: isinstance(part, Warp)):
        group = list(neighbours)
        joined += [WarpChain(*group)] if is_warp else group
    return joined
