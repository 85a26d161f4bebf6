"""Random erasing: something hides a part of the scene."""

import torch

from augmentations.boxes import draw_boxes
from augmentations.sometimes import Sometimes, draw_seeds, noise_generator, require

RATIO = (0.3, 3.3)


class Erasing(Sometimes):
    """Random Erasing (https://arxiv.org/abs/1708.04896): one box in each image is filled with noise.

    The box's share of the area is uniform in [min_area, max_area], its width over height log-uniform in [0.3, 3.3], its
    place uniform; each channel of each of its pixels is uniform in [0, 1] (RE-R in the paper).
    """

    def __init__(self, *, min_area: float = 0.02, max_area: float = 0.33, p: float = 0.5) -> None:
        """Args:
        min_area: smallest share of the image
        max_area: largest share of the image, at most 1
        p: probability that a box is erased
        """
        super().__init__(p)
        setting = f"erasing.min_area={min_area:g},erasing.max_area={max_area:g}"
        require(setting, min_area <= max_area <= 1, "in this order and at most 1")
        self.area = min_area, max_area

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        return draw_boxes(count, height, width, self.area, RATIO, otherwise=(0.0, 0.0)), draw_seeds(count)

    def augment(self, images: torch.Tensor, boxes: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        generator = noise_generator(seeds, images.device)
        for image, (left, top, width, height) in zip(images, boxes.int().tolist(), strict=True):
            image[:, top : top + height, left : left + width].uniform_(generator=generator)
        return images
