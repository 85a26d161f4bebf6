"""Random crops, resized back to the size of the image."""

import torch
from torch import nn
from torch.nn import functional as F

from augmentations.boxes import draw_boxes


class RandomResizedCrop(nn.Module):
    """torchvision's RandomResizedCrop on batches: a box drawn for each image, resized to the size of the image.

    Boxes are only ever enlarged, so bilinear sampling needs no antialiasing. Resizing box by box takes a third of the
    time of sampling all of them in one grid.
    """

    def __init__(self, min_area: float, ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> None:
        """Args:
        min_area: smallest area of a crop as a share of the image; the share is uniform in [min_area, 1].
        ratio: smallest and largest width over height, log-uniform.
        """
        super().__init__()
        self.min_area, self.ratio = min_area, ratio

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.min_area == 1:
            return images
        height, width = images.shape[-2:]
        cropped = torch.empty_like(images)
        boxes = self.draw(len(images), height, width).int().tolist()
        for image, result, (left, top, box_width, box_height) in zip(images, cropped, boxes, strict=True):
            box = image[None, :, top : top + box_height, left : left + box_width]
            result.copy_(F.interpolate(box, size=(height, width), mode="bilinear", align_corners=False)[0])
        return cropped

    def draw(self, count: int, height: int, width: int) -> torch.Tensor:
        """Draws boxes in whole pixels as torchvision does: of ten tries the first that fits, else the whole image.

        Returns:
            float (count, 4): left, top, width, height.
        """
        area, whole = (self.min_area, 1.0), (float(width), float(height))
        return draw_boxes(count, height, width, area, self.ratio, otherwise=whole)
