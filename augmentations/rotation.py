"""Random rotation: a camera held at a slant."""

import torch

from augmentations.sometimes import require, uniform
from augmentations.warp import Warp, rotations


class Rotation(Warp):
    """Turns about the centre by an angle uniform in [-degrees, degrees] (torchvision's RandomRotation on batches).

    new(x) = old(R x), sampled bilinearly; what comes from outside is reflected.
    """

    def __init__(self, *, degrees: float = 10.0, p: float = 1.0) -> None:
        """Args:
        degrees: largest angle to either side, at most 180
        p: probability of an image to be turned
        """
        super().__init__(p)
        require(f"rotation.degrees={degrees:g}", degrees <= 180, "between 0 and 180")
        self.degrees = degrees

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor]:
        return (rotations(uniform(count, -self.degrees, self.degrees), height, width),)
