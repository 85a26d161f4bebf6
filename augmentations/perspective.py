"""Random perspective: the same facade from another spot."""

import torch

from augmentations.sometimes import require
from augmentations.warp import Warp

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


class Perspective(Warp):
    """Moves the four corners inwards, each by its own draw (torchvision's RandomPerspective on batches).

    new(x) = old(H x), where the homography H takes the moved corners back; it follows from four pairs of points
    (Hartley and Zisserman, Multiple View Geometry, 4.1). What comes from outside is reflected, because black corners
    would tell the network which images are augmented.
    """

    def __init__(self, *, distortion: float = 0.3, p: float = 0.5) -> None:
        """Args:
        distortion: corners move by up to this share of half the side, at most 1
        p: probability of an image to be changed
        """
        super().__init__(p)
        require(f"perspective.distortion={distortion:g}", distortion <= 1, "between 0 and 1")
        self.distortion = distortion

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor]:
        corners = torch.tensor(CORNERS)
        return (homographies(corners * (1 - self.distortion * torch.rand(count, 4, 2)), corners),)


def homographies(sources: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Returns the matrices (b, 3, 3) that take four points (b, 4, 2) each to four targets (4, 2)."""
    count = len(sources)
    points = torch.cat([sources, torch.ones(count, 4, 1)], dim=2).double()
    goals = targets.expand(count, 4, 2).double()
    zeros = torch.zeros_like(points)
    for_x = torch.cat([points, zeros, -goals[..., :1] * points[..., :2]], dim=2)
    for_y = torch.cat([zeros, points, -goals[..., 1:] * points[..., :2]], dim=2)
    solved = torch.linalg.solve(torch.cat([for_x, for_y], dim=1), torch.cat([goals[..., 0], goals[..., 1]], dim=1))
    return torch.cat([solved, torch.ones(count, 1).double()], dim=1).view(count, 3, 3).float()
