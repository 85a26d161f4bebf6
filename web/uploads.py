"""Decodes uploads. Files that are not photos, or would need too much memory or time, are refused before decoding."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps

from datasets.decoding import PILLOW_ERRORS, Size, resize_shorter_side

FORMATS = ("JPEG", "PNG", "WEBP")
LEAST_SIDE, MOST_ASPECT = 32, 10.0
MOST_SCANS = 64  # of a JPEG; programs write about 10. Each scan of a progressive JPEG passes over all pixels.
MOST_SIDE = 1024  # pixels, for networks that take photos in their own size
SCAN = b"\xff\xda"


class RefusedUpload(Exception):
    """An upload that is refused.

    Attributes:
        status: HTTP status.
        message: sentence for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class PhotoLimits:
    """Limits of the size of a photo.

    Attributes:
        max_bytes: maximum size of the file.
        max_pixels: maximum height times width of a JPEG; half of it for PNG and WebP, which need more memory.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000


def read_photo(data: bytes, limits: PhotoLimits, shorter_side: Size = None) -> torch.Tensor:
    """Decodes an upload like `datasets.decoding.decode`, upright; no other metadata are read.

    A JPEG that is at least twice as large as needed is decoded at a smaller size.

    Args:
        data: the upload.
        limits: size limits.
        shorter_side: as for `decode`; None to keep the size, but at most MOST_SIDE.

    Returns:
        uint8 (3, h, w).

    Raises:
        RefusedUpload: 413 if it is too large, 415 if its format is not supported, 422 if it is damaged or not a photo.
    """
    image = _opened(data)
    with image:
        _check_size(image, data, limits)
        try:
            pixels = _pixels(image, shorter_side)
        except (*PILLOW_ERRORS, MemoryError, OverflowError, EOFError, IndexError, AttributeError):
            raise RefusedUpload(422, "The photo is damaged and cannot be read.") from None
    if shorter_side is not None:
        return resize_shorter_side(pixels, shorter_side).contiguous()
    if max(pixels.shape[1:]) > MOST_SIDE:
        return resize_shorter_side(pixels, _capped(pixels.shape[1:]))
    return pixels.contiguous()


def _opened(data: bytes) -> Image.Image:
    """Reads the header."""
    if not data:
        raise RefusedUpload(422, "The file is empty.")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise RefusedUpload(413, "The photo has too many pixels.") from None
    except Exception:  # of a header that was made to harm; nothing has been decoded
        raise RefusedUpload(415, "This is not a photo in JPEG, PNG or WebP format.") from None


def _check_size(image: Image.Image, data: bytes, limits: PhotoLimits) -> None:
    width, height = image.size
    most = limits.max_pixels if image.format == "JPEG" else limits.max_pixels / 2
    if width * height > most:
        raise RefusedUpload(
            413, f"The photo has {width} x {height} pixels; at most {most / 1e6:g} megapixels are accepted."
        )
    if min(width, height) < LEAST_SIDE:
        raise RefusedUpload(
            422, f"The photo has {width} x {height} pixels; it needs at least {LEAST_SIDE} on each side."
        )
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise RefusedUpload(422, f"The photo has {width} x {height} pixels, which is too long and narrow.")
    if image.format == "JPEG" and data.count(SCAN) > MOST_SCANS:
        raise RefusedUpload(422, "The photo is a JPEG with too many scans.")


def _pixels(image: Image.Image, shorter_side: Size) -> torch.Tensor:
    """Decodes at a fraction of the size if that is still at least twice as large as needed."""
    if shorter_side is not None:
        least = (shorter_side, shorter_side) if isinstance(shorter_side, int) else tuple(shorter_side)
        if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
            least = least[::-1]
        if image.size[0] >= 2 * least[1] and image.size[1] >= 2 * least[0]:
            image.draft("RGB", least[::-1])  # does nothing to other formats
    # Each picture is dropped when the next is made: at most two are in memory.
    ImageOps.exif_transpose(image, in_place=True)
    plain = image if image.mode == "RGB" else image.convert("RGB")
    if plain is not image:
        image.close()
    pixels = np.array(plain)
    plain.close()
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _capped(size: tuple[int, int]) -> list[int]:
    scale = MOST_SIDE / max(size)
    return [max(1, round(side * scale)) for side in size]
