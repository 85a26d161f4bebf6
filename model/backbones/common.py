"""Functions that all backbones share: names of blocks, resizing of images, size of the feature map."""

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError, did_you_mean, first_line

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Blocks = dict[str, list[nn.Parameter]]
# Sides in pixels that every backbone works with, if it works with images of any size.
LARGE = 224


def check_block(parameter: str, name: str, known: Iterable[str]) -> None:
    """Raises ArgumentError if a name is not among the blocks that a parameter may name."""
    known = list(known)
    if name not in known:
        hint, choices = did_you_mean(name, known), ", ".join(known)
        raise ArgumentError(parameter, f"{name} is not a block of this backbone{hint}; choose from {choices}")


class SizedBackbone(nn.Module):
    """A backbone whose images must have sides that are multiples of its patch; it resizes all others.

    Attributes:
        patch: side of a patch in pixels; 1 where any size works.
        fixed_size: height and width, where the network is built for one size only.
    """

    patch = 1
    fixed_size: list[int] | None = None
    reported = False

    def grid(self, height: int, width: int) -> list[int]:
        """Returns height and width in patches of an image of this size in pixels."""
        if self.fixed_size:
            return [side // self.patch for side in self.fixed_size]
        return [max(1, _nearest(side, self.patch)) for side in (height, width)]

    def sized(self, images: torch.Tensor) -> torch.Tensor:
        """Resizes images to the nearest multiple of the patch, at least one, or to the fixed size, and logs it once."""
        own = list(images.shape[-2:])
        size = self.fixed_size or [max(self.patch, _nearest(side, self.patch) * self.patch) for side in own]
        if size == own:
            return images
        if not images.is_meta:
            self._report(own, size)
        return F.interpolate(images, size=size, mode="bilinear", antialias=True)

    @torch.compiler.disable
    def _report(self, own: list[int], size: list[int]) -> None:
        if not self.reported:
            reason = "its only size" if self.fixed_size else f"the nearest multiple of its patch of {self.patch}"
            logging.info(
                f"Images of {own[1]}x{own[0]} are resized to {size[1]}x{size[0]} for the backbone, {reason}. This is "
                "not logged again for other sizes"
            )
        self.reported = True


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


_CHANNELS: dict[Hashable, int] = {}


def map_channels(backbone: nn.Module, about: Hashable, height: int = 224, width: int = 224) -> int:
    """Returns the channels of the map, computed once for all backbones with the same `about` and shapes of weights."""
    key = about, tuple(parameter.shape for parameter in backbone.parameters())
    if key not in _CHANNELS:
        _CHANNELS[key] = map_shape(backbone, height, width)[1]
    return _CHANNELS[key]


def is_too_small(backbone: nn.Module, height: int, width: int) -> bool:
    """Whether images of a size are too small for a backbone that works with larger ones."""

    def works(*size: int) -> bool:
        try:
            map_shape(backbone, *size)
        except Exception:  # models check sizes in many ways
            return False
        return True

    return not works(height, width) and works(max(height, LARGE), max(width, LARGE))


def _nearest(side: int, patch: int) -> int:
    """round(side / patch), in integers only: exported networks compute it for every image."""
    whole, rest = side // patch, side % patch
    return whole + (2 * rest + whole % 2 + patch - 1) // (2 * patch)


def features_of_size(
    forward: Callable[[torch.Tensor], torch.Tensor], backbone: nn.Module, name: str, image_size: int | Sequence[int]
) -> torch.Tensor:
    """Returns the output of a backbone on the meta device for one image.

    Args:
        forward: the backbone, or what calls it.
        backbone: the backbone.
        name: its name, for the message.
        image_size: side of the square image in pixels, or height and width.

    Raises:
        ArgumentError: if the image is too small for it; the message names a size that works.
    """

    def features(height: int, width: int) -> torch.Tensor | Exception:
        try:
            return forward(torch.zeros(1, 3, height, width, device="meta"))
        except ArgumentError:
            raise
        except (AssertionError, RuntimeError, ValueError) as error:
            return error

    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    size = image_size if isinstance(image_size, int) else " ".join(map(str, image_size))
    patch = getattr(backbone, "patch", 1)
    if min(sides) < patch:
        own = f"the patches of {name}, {patch}x{patch}"
        raise ArgumentError("image_size", f"{size} is smaller than {own}; use {patch} or more")
    found = features(*sides)
    if isinstance(found, torch.Tensor):
        return found
    fitting = (side for side in (32, 64, 128, 224, 256, 384, 512) if isinstance(features(side, side), torch.Tensor))
    way_out = next((f"use {side}" for side in fitting), "choose another `backbone`")
    raise ArgumentError("image_size", f"{size} does not work with {name} ({first_line(found)}); {way_out}")
