"""JPEG artefacts of strong compression."""

import math

import torch
from torch.nn import functional as F

from augmentations.sometimes import Sometimes, on, require

# ITU T.81, tables K.1 (luma) and K.2 (chroma), for quality 50.
LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *[(99,) * 8] * 4,
)  # fmt: skip
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


class Jpeg(Sometimes):
    """What JPEG (ITU T.81) loses, with the quality of libjpeg's scale drawn for each image, uniform in [quality, 100].

    Colours go to YCbCr, chroma to half the resolution, squares of 8x8 pixels to their cosine transform C, and back from
    round(C / Q) Q. The tables of T.81 are scaled by s = 50 / quality below 50 and 2 - quality / 50 from there on:
    Q = clip(round(s table), 1, 255). The entropy coding loses nothing and is left out, so that all of it is a few
    products of matrices on the device.
    """

    def __init__(self, *, quality: int = 30, p: float = 0.5) -> None:
        """Args:
        quality: lowest quality, 1 to 100
        p: probability that an image is compressed
        """
        super().__init__(p)
        require(f"jpeg.quality={quality}", 1 <= quality <= 100, "between 1 and 100")
        self.quality = quality

    def draw(self, count: int, height: int, width: int) -> tuple[torch.Tensor]:
        return (torch.randint(self.quality, 101, (count,)),)

    def augment(self, images: torch.Tensor, qualities: torch.Tensor) -> torch.Tensor:
        return compress(images, qualities)


def compress(images: torch.Tensor, qualities: torch.Tensor) -> torch.Tensor:
    """Returns float (b, 3, h, w) in [0, 1] as they come back from JPEG files of these qualities, int64 (b,)."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
    full = padded.flatten(2).mul(255).round_()
    to_ycc, to_rgb = (on(torch.tensor(matrix), images.device) for matrix in (TO_YCC, TO_RGB))
    ycc = (to_ycc @ full).view_as(padded).round_()
    luma = quantise(ycc[:, :1] - 128, qualities, LUMA) + 128
    chroma = quantise(F.avg_pool2d(ycc[:, 1:], 2).round_(), qualities, CHROMA)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    back = to_rgb @ torch.cat([luma, chroma], dim=1).flatten(2)
    return back.round_().mul_(1 / 255).clamp_(0, 1).view_as(padded)[:, :, :height, :width]


def quantise(planes: torch.Tensor, qualities: torch.Tensor, table: tuple[tuple[int, ...], ...]) -> torch.Tensor:
    """Returns planes (b, c, h, w) of values in -128..127 as they come back, in whole numbers.

    Args:
        planes: sides are multiples of 8.
        qualities: int64 (b,).
        table: the steps at quality 50.
    """
    basis = on(cosine_basis(), planes.device)
    steps = on(scaled_table(qualities, table), planes.device)
    count, channels, height, width = planes.shape
    squares = (planes.reshape(-1, 8) @ basis.T).view(-1, 8, width)
    squares = (basis @ squares).view(count, -1, 8, width // 8, 8)
    steps = steps.view(count, 1, 8, 1, 8)
    squares = squares.div_(steps).round_().mul_(steps)
    squares = (basis.T @ squares.view(-1, 8, width)).view(-1, 8) @ basis
    return squares.add_(0.5).floor_().clamp_(-128, 127).view(count, channels, height, width)


def scaled_table(qualities: torch.Tensor, table: tuple[tuple[int, ...], ...]) -> torch.Tensor:
    """Returns libjpeg's quantisation steps for qualities (b,) from 1 to 100, float (b, 8, 8)."""
    percent = torch.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities).view(-1, 1, 1)
    return ((torch.tensor(table) * percent + 50) // 100).clamp(1, 255).float()


def cosine_basis() -> torch.Tensor:
    """Returns the orthonormal cosine transform of eight numbers, (8, 8), a frequency a row."""
    frequency, place = torch.arange(8.0).unsqueeze(1), torch.arange(8.0)
    basis = torch.cos(math.pi / 8 * frequency * (place + 0.5)) / 2
    basis[0] /= math.sqrt(2)
    return basis
