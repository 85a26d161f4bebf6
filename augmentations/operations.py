"""The operations that RandAugment and AugMix chain, on batches, each image with its own amount."""

from collections.abc import Callable
from functools import partial

import torch
from torchvision.transforms.v2 import functional as F

from augmentations.color_jitter import adjust_brightness, adjust_contrast, adjust_saturation
from augmentations.sometimes import column
from augmentations.warp import rotations, warp

# Operation -> its amount at no and at full strength.
Ranges = dict[str, tuple[float, float]]


def amounts(names: list[str], ranges: Ranges, operations: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Turns strengths into the operations' own amounts, to either side where more and less both make sense.

    Args:
        names: what the numbers in `operations` mean.
        ranges: for each name. Where the amount falls with the strength there is one side only.
        operations: int64 of any shape.
        levels: strengths between 0 and 1, of the same shape.
    """
    start, end = torch.tensor([ranges[name] for name in names]).T
    span = (end - start)[operations]
    side = torch.where((torch.rand(levels.shape) < 0.5) & (span > 0), -1.0, 1.0)
    return start[operations] + side * levels * span


def apply_operations(
    images: torch.Tensor, names: list[str], operations: torch.Tensor, amounts: torch.Tensor
) -> torch.Tensor:
    """Does one operation with each image, those that share it together; may change the batch in place.

    Args:
        images: float (b, 3, h, w) in [0, 1].
        names: what the numbers in `operations` mean.
        operations: int64 (b,); negative for none.
        amounts: float (b,).
    """
    for number in operations.unique().tolist():
        if number < 0:
            continue
        chosen = (operations == number).nonzero().squeeze(1)
        operation = OPERATIONS[names[number]]
        if len(chosen) == len(images):
            images = operation(images, amounts)
        else:
            rows = chosen.to(images.device, non_blocking=True)
            images[rows] = operation(images[rows], amounts[chosen])
    return images


def sharpness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blends with a blurred image; factors above 1 sharpen."""
    return torch.lerp(F.adjust_sharpness(images, 0.0), images, column(factors, images)).clamp_(0, 1)


def posterize(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keeps so many bits of each channel, rounded to whole ones."""
    levels = column(2 ** bits.round(), images)
    return torch.minimum(images.mul(levels).floor_().clamp_(min=0), levels - 1).div_(levels)


def solarize(images: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Inverts what is at or above the threshold."""
    return torch.where(images >= column(thresholds, images), 1 - images, images)


def shear(images: torch.Tensor, tangents: torch.Tensor, entry: tuple[int, int]) -> torch.Tensor:
    """Slants images about their centre: along x with the entry (0, 1) of the matrix, along y with (1, 0)."""
    sides = images.shape[:1:-1]  # width, height
    return _warp_by(images, entry, tangents * sides[entry[1]] / sides[entry[0]])


def _warp_by(images: torch.Tensor, entry: tuple[int, int], values: torch.Tensor) -> torch.Tensor:
    matrices = torch.eye(3).repeat(len(images), 1, 1)
    matrices[(slice(None), *entry)] = values
    return warp(images, matrices)


# Translations are shares of the side, which is 2 in the coordinates of `warp`; contents move right and down.
OPERATIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "identity": lambda images, _: images,
    "auto_contrast": lambda images, _: F.autocontrast(images),
    "equalize": lambda images, _: F.equalize(images),
    "rotate": lambda images, degrees: warp(images, rotations(degrees, *images.shape[-2:])),
    "solarize": solarize,
    "posterize": posterize,
    "color": lambda images, factors: adjust_saturation(images, column(factors, images)),
    "contrast": lambda images, factors: adjust_contrast(images, column(factors, images)),
    "brightness": lambda images, factors: adjust_brightness(images, column(factors, images)),
    "sharpness": sharpness,
    "shear_x": partial(shear, entry=(0, 1)),
    "shear_y": partial(shear, entry=(1, 0)),
    "translate_x": lambda images, shares: _warp_by(images, (0, 2), -2 * shares),
    "translate_y": lambda images, shares: _warp_by(images, (1, 2), -2 * shares),
}
