"""Random fog: distant things have the colour of the air."""

import torch

from augmentations.sometimes import Sometimes, column, on, uniform

HORIZON = (0.35, 0.55)
NEAREST = 0.15
AIR = (0.7, 0.95)


class Fog(Sometimes):
    """Koschmieder's law, as in Foggy Cityscapes (https://arxiv.org/abs/1708.07819), with a guessed depth.

    new = old t + a (1 - t), t = exp(-b d). The depth d of a street view is guessed from the row: 1 above a horizon at
    0.35 to 0.55 of the height, d = 0.15 + 0.85 (1 - z)^2 below it, where z goes from 0 at the horizon to 1 at the lower
    border. The density b is uniform in [0, density], the grey a of the air in [0.7, 0.95].
    """

    def __init__(self, *, density: float = 2.0, p: float = 0.3) -> None:
        """Args:
        density: largest optical depth at the horizon; at 2 an eighth of the light from there is seen
        p: probability that an image is in fog
        """
        super().__init__(p)
        self.density = density

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
        return uniform(count, 0, self.density), uniform(count, *HORIZON), uniform(count, *AIR)

    def augment(
        self, images: torch.Tensor, densities: torch.Tensor, horizons: torch.Tensor, air: torch.Tensor
    ) -> torch.Tensor:
        seen = on(torch.exp(-densities.unsqueeze(1) * depths(horizons, images.shape[2])), images.device)
        return torch.lerp(column(air, images), images, seen.view(len(images), 1, -1, 1))


def depths(horizons: torch.Tensor, height: int) -> torch.Tensor:
    """Guesses how far away each row of a street view is, as a share of what is farthest, (b, height).

    Args:
        horizons: row of the horizon as a share of the height, (b,).
        height: rows of the image.
    """
    rows = (torch.arange(height) + 0.5) / height
    below = ((rows - horizons.unsqueeze(1)) / (1 - horizons.unsqueeze(1))).clamp(min=0)
    return NEAREST + (1 - NEAREST) * (1 - below).square()
