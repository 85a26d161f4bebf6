"""What all backbones share: names of blocks, images at a multiple of the patch, the size of their map."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import UsageError, did_you_mean

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Blocks = dict[str, list[nn.Parameter]]


def check_block(flag: str, name: str, known: Iterable[str]) -> None:
    """Raises UsageError if a backbone has no block of this name."""
    known = list(known)
    if name not in known:
        raise UsageError(
            f"{flag} {name}: the backbone has no such block{did_you_mean(name, known)}; it has {', '.join(known)}"
        )


def to_multiple(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Resizes images to the nearest multiple of the patch size, where they are not one already."""
    return resize(images, multiple(images, patch))


def multiple(images: torch.Tensor, patch: int) -> list[int]:
    """Returns the multiples of the patch size, at least one patch, that are nearest to the sides of images."""
    return [max(patch, round(side / patch) * patch) for side in images.shape[-2:]]


def resize(images: torch.Tensor, size: list[int]) -> torch.Tensor:
    """Resizes images, where they do not have that size already."""
    if size == list(images.shape[-2:]):
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


@torch.no_grad()
def map_shape(backbone: nn.Module, height: int = 224, width: int = 224) -> torch.Size:
    """Returns the shape (1, channels, h', w') of the map of one image, without computing its numbers."""
    tensors = [*backbone.named_parameters(), *backbone.named_buffers()]
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    was_training = backbone.training
    backbone.eval()
    try:
        image = torch.empty(1, 3, height, width, device="meta")
        return torch.func.functional_call(backbone, shapes, (image,)).shape
    finally:
        backbone.train(was_training)
