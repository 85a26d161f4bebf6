"""Random brightness, contrast, saturation and hue."""

import torch
from torch import nn

from augmentations.sometimes import column, on

GRAY = (0.2989, 0.587, 0.114)


class ColorJitter(nn.Module):
    """torchvision's ColorJitter on batches, in place: four steps in an order and with factors drawn for each image."""

    def __init__(self, brightness: float, contrast: float, saturation: float, hue: float) -> None:
        """Args:
        brightness, contrast, saturation: factors are uniform in [max(0, 1 - x), 1 + x].
        hue: the hue is shifted by a share of the colour circle uniform in [-hue, hue], hue <= 0.5.
        """
        super().__init__()
        self.ranges = [(max(0.0, 1 - x), 1 + x) for x in (brightness, contrast, saturation)] + [(-hue, hue)]

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns factors, float (count, 4), and the order of the four steps, int64 (count, 4), for each image."""
        low, high = torch.tensor(self.ranges).T
        return low + torch.rand(count, 4) * (high - low), torch.rand(count, 4).argsort(dim=1)

    def active(self, step: int) -> bool:
        """Whether step 0 to 3 can change anything."""
        return self.ranges[step] not in ((1.0, 1.0), (0.0, 0.0), (-0.0, 0.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        factors, order = self.draw(len(images))
        # One image stays in a CPU's cache, where the many small steps take a third of the time.
        size = 1 if images.device.type == "cpu" else len(images)
        for first in range(0, len(images), size):
            block = slice(first, first + size)
            self._apply(images[block], factors[block], order[block])
        return images

    def _apply(self, images: torch.Tensor, factors: torch.Tensor, order: torch.Tensor) -> None:
        """Takes the steps in turn, each for all images that have it at that position."""
        steps = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
        for numbers in order.T.tolist():
            for number in filter(self.active, set(numbers)):
                rows = [row for row, other in enumerate(numbers) if other == number]
                factor = column(factors[rows, number], images)
                if len(rows) == len(images):
                    steps[number](images, factor)
                else:
                    chosen = on(torch.tensor(rows), images.device)
                    images[chosen] = steps[number](images[chosen], factor)


def luma(images: torch.Tensor) -> torch.Tensor:
    """Grey value of (b, 3, h, w), as (b, 1, h, w)."""
    red, green, blue = images.unbind(1)
    return (GRAY[0] * red).add_(green, alpha=GRAY[1]).add_(blue, alpha=GRAY[2]).unsqueeze(1)


# The steps change `images` in place: on a CPU writing to fresh memory costs more than the arithmetic.


def adjust_brightness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiplies by `factor` (b, 1, 1, 1) and clips to [0, 1], in place."""
    return images.mul_(factor).clamp_(0, 1)


def adjust_contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Blends with the mean grey value of each image, in place."""
    mean = luma(images.mean(dim=(2, 3), keepdim=True))
    return images.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 1)


def adjust_saturation(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Blends with the grey image, in place."""
    gray = luma(images).mul_(1 - factor)
    return torch.addcmul(gray, images, factor, out=images).clamp_(0, 1)


def adjust_hue(images: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Shifts the hue in HSV by `share` (b, 1, 1, 1) of the circle, at most one turn, in place.

    With largest channel v, chroma c and hue h in [0, 1), green is v - c (6 clip(|h - 1/3|, 1/6, 1/3) - 1), blue the
    same with 2/3, and red v - c (2 - 6 clip(|h - 1/2|, 1/6, 1/3))
    (https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB).
    """
    red, green, blue = images.unbind(1)
    value = torch.maximum(red, green)
    value = torch.maximum(value, blue, out=value)
    chroma = torch.minimum(red, green)
    chroma = torch.sub(value, torch.minimum(chroma, blue, out=chroma), out=chroma).clamp_(min=1e-12)
    # Six times the hue times the chroma. torch.where takes longer than all the rest, so masks are numbers in lerp.
    hue = (red - green).add_(chroma, alpha=4)
    other, spare = (blue - red).add_(chroma, alpha=2), torch.empty_like(value)
    hue.lerp_(other, torch.eq(green, value, out=spare))
    hue.lerp_(torch.sub(green, blue, out=other), torch.eq(red, value, out=spare))
    hue = torch.addcdiv(share.squeeze(1) + 2, hue, chroma, value=1 / 6).frac_()
    base = value.add_(chroma)
    for channel, centre in ((green, 1 / 3), (blue, 2 / 3)):
        distance = torch.sub(hue, centre, out=spare).abs_().clamp_(1 / 6, 1 / 3)
        torch.addcmul(base, chroma, distance, value=-6, out=channel)
    distance = torch.sub(hue, 1 / 2, out=spare).abs_().clamp_(1 / 6, 1 / 3)
    torch.addcmul(base.sub_(chroma, alpha=3), chroma, distance, value=6, out=red)
    return images
