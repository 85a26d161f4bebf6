"""Random boxes inside images, in whole pixels."""

import math

import torch

ATTEMPTS = 10


def draw_boxes(
    count: int,
    height: int,
    width: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
    otherwise: tuple[float, float],
) -> torch.Tensor:
    """Draws boxes as torchvision's RandomResizedCrop and RandomErasing do: of ten tries the first that fits.

    Args:
        count: how many, one for each image.
        height, width: of the images.
        area: smallest and largest area as a share of the image; the share is uniform.
        ratio: smallest and largest width over height, log-uniform.
        otherwise: width and height where none of the tries fits.

    Returns:
        float (count, 4): left, top, width, height.
    """
    areas = (area[0] + torch.rand(count, ATTEMPTS) * (area[1] - area[0])) * height * width
    low, high = math.log(ratio[0]), math.log(ratio[1])
    ratios = torch.exp(low + torch.rand(count, ATTEMPTS) * (high - low))
    widths, heights = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.float().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    box_width = torch.where(found, widths.gather(1, first).squeeze(1), otherwise[0])
    box_height = torch.where(found, heights.gather(1, first).squeeze(1), otherwise[1])
    left = (torch.rand(count) * (width - box_width + 1)).floor()
    top = (torch.rand(count) * (height - box_height + 1)).floor()
    return torch.stack([left, top, box_width, box_height], dim=1)
