"""Random horizontal flip."""

import torch

from augmentations.sometimes import Sometimes


class HorizontalFlip(Sometimes):
    """Mirrors left and right: new(x, y) = old(w - 1 - x, y).

    Streets are not symmetric: a mirrored place is another place, and its signs cannot be read.
    """

    def __init__(self, *, p: float = 0.5) -> None:
        """Args:
        p: probability of an image to be mirrored
        """
        super().__init__(p)

    def draw(self, count: int, height: int, width: int) -> tuple[()]:
        return ()

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        return images.flip(3)
