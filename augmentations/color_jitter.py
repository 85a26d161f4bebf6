"""Random brightness, contrast, saturation and hue."""

import math

import torch
from torch import nn

from augmentations.sometimes import column, on

GRAY = (0.2989, 0.587, 0.114)
# YIQ (NTSC 1953): the first row is luma, a rotation in the plane of the other two changes the hue.
RGB_TO_YIQ = ((0.2989, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


class _Jitter(nn.Module):
    """Draws the factors that both jitters share."""

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


class ColorJitter(_Jitter):
    """torchvision's ColorJitter on batches, in place: four steps in an order and with factors drawn for each image."""

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


class LinearColorJitter(_Jitter):
    """The same draws as one affine map of the colours of each image.

    Brightness, contrast and saturation are linear but for their clipping to [0, 1], which happens once at the end
    here; the hue is rotated in YIQ, which keeps the luma, instead of in HSV. docs/cosplace.md says how far that is from
    `ColorJitter`.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        factors, order = (on(drawn, images.device) for drawn in self.draw(len(images)))
        means = images.mean(dim=(2, 3))
        matrix, offset = self.compose(factors, order, means)
        flat = torch.baddbmm(offset.unsqueeze(2), matrix, images.flatten(2))
        return flat.clamp_(0, 1).view_as(images)

    def compose(
        self, factors: torch.Tensor, order: torch.Tensor, means: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chains the four steps of each image in its order.

        Args:
            factors, order: as from `draw`.
            means: mean colour of each image, (b, 3), which contrast refers to.

        Returns:
            Matrices (b, 3, 3) and offsets (b, 3): colour -> matrix @ colour + offset.
        """
        count = len(factors)
        gray = on(torch.tensor(GRAY), means.device)
        eye = torch.eye(3, device=means.device).expand(count, 3, 3)
        brightness, contrast, saturation, hue = (factors[:, i].view(-1, 1, 1) for i in range(4))
        scaled = [brightness * eye, contrast * eye, saturation * eye + (1 - saturation) * gray.expand(3, 3), _turn(hue)]
        steps = torch.stack(scaled, dim=1)
        matrix, offset = eye, torch.zeros(count, 3, device=means.device)
        for position in range(4):
            number = order[:, position]
            step = steps[torch.arange(count, device=means.device), number]
            luma = ((matrix @ means.unsqueeze(2)).squeeze(2) + offset) @ gray
            added = torch.where(number == 1, (1 - contrast.view(-1)) * luma, 0.0).unsqueeze(1)
            matrix, offset = step @ matrix, (step @ offset.unsqueeze(2)).squeeze(2) + added
        return matrix, offset


def _turn(share: torch.Tensor) -> torch.Tensor:
    """Matrices (b, 3, 3) that rotate hues by `share` (b, 1, 1) of the circle in YIQ."""
    to_yiq = torch.tensor(RGB_TO_YIQ)
    from_yiq, to_yiq = on(torch.linalg.inv(to_yiq), share.device), on(to_yiq, share.device)
    angle = -2 * math.pi * share
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [torch.cat(row, dim=2) for row in ((one, zero, zero), (zero, cos, -sin), (zero, sin, cos))]
    return from_yiq @ torch.cat(rows, dim=1) @ to_yiq


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
