"""Image files to uint8 tensors."""

import io
import logging
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as F

from commons.signals import leave_signals_to_parent
from datasets.letterbox import Letterbox
from datasets.places import Places

try:
    import simplejpeg  # optional: the same pixels in less time (docs/performance.md)
except ImportError:
    simplejpeg = None

ORIENTATION = 0x0112
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ENDING, FILLING = b"\xff\xd9", b"\xaa\x55\x0f" * 20  # the marker that ends a JPEG, and bytes that could be image data
DARK = 4096  # a sixteenth of the range of 16 bits
PILLOW_ERRORS = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error, Image.DecompressionBombError)


# Of the shorter side, or height and width, a box among them; None for images as they are.
Size = int | Sequence[int] | None


class ImageFiles:
    """The images of a table, read from their files."""

    def __init__(self, places: Places, shorter_side: Size = None) -> None:
        """Args:
        places: which images.
        shorter_side: pixels that the shorter side is resized to, or height and width; None for images as they are.
        """
        self.places, self.shorter_side = places, shorter_side

    def load(self, row: int) -> torch.Tensor:
        """Returns image `row` undecoded, its file's bytes (uint8 (n,)), or as pixels (uint8 (3, h, w)).

        Raises:
            OSError: if the file cannot be read, or the archive that holds it ends before it does.
        """
        return read_bytes(*self.places.source(row))

    def read(self, row: int) -> torch.Tensor:
        """Returns image `row` decoded and resized, uint8 (3, h, w).

        Raises:
            OSError: if the file is missing or cannot be decoded.
        """
        return self.finish(self.load(row))

    def finish(self, image: torch.Tensor) -> torch.Tensor:
        """Returns what `load` gave decoded and resized, uint8 (3, h, w); in a Letterbox with its borders.

        Raises:
            OSError: if it cannot be decoded.
        """
        image = image if image.ndim == 3 else decode(image, self.shorter_side)
        return self.shorter_side.pad(image) if isinstance(self.shorter_side, Letterbox) else image


def read_image(path: str | Path, shorter_side: Size = None) -> torch.Tensor:
    """Reads an image file as `decode` does.

    Raises:
        OSError: if the file is missing or cannot be decoded.
    """
    return decode(read_bytes(path), shorter_side)


def read_bytes(path: str | Path, offset: int = 0, size: int = -1) -> torch.Tensor:
    """Returns the content of a file or of a part of it, uint8 (n,).

    Unlike torchvision's read_file it maps no memory: one read a file.

    Args:
        path: path of the file.
        offset, size: of the part, in bytes; a size of -1 reads to the end.

    Raises:
        OSError: if the file cannot be read, or ends before the part does.
    """
    data = np.fromfile(path, np.uint8, size, offset=offset)
    if len(data) < size:
        raise OSError(f"{path} ends before it")
    return torch.from_numpy(data)


def decode(data: torch.Tensor, shorter_side: Size = None) -> torch.Tensor:
    """Decodes the bytes of an image file, turned upright after its EXIF orientation, and resizes it.

    A JPEG that is at least twice too large is decoded at a half, a quarter or an eighth of its size: the DCT gives the
    smaller image for a fraction of the time, and less is left to resize.

    Args:
        data: content of a file, uint8 (n,).
        shorter_side: pixels of the shorter side, or height and width, or a Letterbox into which the image is fitted
            without borders; None to keep the size.

    Returns:
        uint8 RGB tensor of shape (3, height, width).

    Raises:
        OSError: if it cannot be decoded.
    """
    try:
        return _decode(data, shorter_side)
    except OSError:
        ended = _with_its_end(data)
        if ended is None:
            raise
        return _decode(ended, shorter_side)


def _decode(data: torch.Tensor, shorter_side: Size) -> torch.Tensor:
    if shorter_side is None:
        return _decode_full(data)
    image = _decode_scaled(data, shorter_side)
    return resize_shorter_side(_decode_full(data), shorter_side) if image is None else image


def _with_its_end(data: torch.Tensor) -> torch.Tensor | None:
    """Returns a JPEG that lacks only the two bytes that end a file with them; None for anything else.

    A decoder takes zeros for image data that is missing. If other bytes in their place change nothing, none is missing.
    """
    if not _is_jpeg(data):
        return None
    content = bytes(data.numpy()).removesuffix(ENDING[:1])
    try:
        with_zeros, with_others = (_pixels(content + filling + ENDING) for filling in (b"", FILLING))
    except PILLOW_ERRORS:
        return None
    whole = np.array_equal(with_zeros, with_others)
    return torch.frombuffer(bytearray(content + ENDING), dtype=torch.uint8) if whole else None


def _pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def _from_16_bits(image: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Brings a PNG's uint16 pixels (3, h, w) to uint8.

    Files of 10 to 14 bits a colour have those bits at the top, as the PNG standard asks for. Some cameras leave them at
    the bottom: their range is then known from the number of bits in the file's sBIT chunk. Without that chunk the range
    is that of 16 bits.
    """
    values = image.float()
    largest, bits = int(values.max()), _declared_bits(data)
    if bits and largest < 2**bits:
        return (values * (255 / (2**bits - 1))).round().to(torch.uint8)
    if 0 < largest < DARK:
        _warn_dark()
    return (values / 257).round().to(torch.uint8)


def _declared_bits(data: torch.Tensor) -> int:
    """Returns the most significant bits that a PNG declares for a colour (chunk sBIT); 0 if it declares none."""
    content, at = data.numpy(), len(PNG_SIGNATURE)
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8].tobytes())
        if kind == b"sBIT":
            return int(content[at + 8 : at + 8 + size].max())
        if kind in (b"IDAT", b"IEND"):
            break
        at += size + 12
    return 0


@cache
def _warn_dark() -> None:
    """Warns once in a process, however many images there are."""
    logging.warning(
        "there are images with 16 bits per channel that use less than a sixteenth of that range and are decoded "
        "nearly black: if they have 12 bits, declare that in the PNG chunk sBIT, or convert the images to 8 bits"
    )


def _decode_full(data: torch.Tensor) -> torch.Tensor:
    if _is_jpeg(data) or _is_whole_png(data):
        # Where it fails, Pillow knows rarer variants (CMYK) and says better what is wrong.
        with suppress(RuntimeError):
            image = decode_image(data, ImageReadMode.RGB, apply_exif_orientation=True)
            return image if image.dtype == torch.uint8 else _from_16_bits(image, data)
    try:
        with Image.open(io.BytesIO(data.numpy())) as image:
            return _upright_pixels(image)
    except UnidentifiedImageError:
        raise OSError("not an image in any known format") from None
    except PILLOW_ERRORS as error:
        raise OSError(str(error)) from error


def _is_jpeg(data: torch.Tensor) -> bool:
    return data[:2].tolist() == [0xFF, 0xD8]


def _is_whole_png(data: torch.Tensor) -> bool:
    """Whether the checksums of a PNG are right: at a wrong one torchvision takes the whole process down."""
    if bytes(data[: len(PNG_SIGNATURE)].tolist()) != PNG_SIGNATURE:
        return False
    try:
        with Image.open(io.BytesIO(data.numpy())) as image:
            image.verify()
    except PILLOW_ERRORS:
        return False
    return True


def _decode_scaled(data: torch.Tensor, shorter_side: int | Sequence[int]) -> torch.Tensor | None:
    """Decodes and resizes a JPEG at least twice too large, with simplejpeg any JPEG; None for all else and errors."""
    image = open_jpeg(data)
    if image is None:
        return None
    least = (shorter_side, shorter_side) if isinstance(shorter_side, int) else shorter_side
    try:
        width, height = image.size
        if b"tiff:Orientation" in image.info.get("xmp", b""):
            return None  # Pillow would turn the image after it, torchvision does not
        orientation = image.getexif().get(ORIENTATION, 1)
        if simplejpeg is not None and orientation == 1 and image.mode in ("L", "RGB"):
            with suppress(ValueError):  # damaged: Pillow decodes what can be decoded
                pixels = _decode_with_simplejpeg(data, height, width, least)
                wanted = _resized(height, width, shorter_side)
                return pixels if list(pixels.shape[-2:]) == wanted else F.resize(pixels, wanted, antialias=True)
        turned = orientation in (5, 6, 7, 8)
        if turned:
            width, height = height, width
        if isinstance(shorter_side, Letterbox):
            least = shorter_side.fitted(height, width)
        if height < 2 * least[0] or width < 2 * least[1]:
            return None
        image.draft("RGB", tuple(least) if turned else tuple(least)[::-1])
        return F.resize(_upright_pixels(image), _resized(height, width, shorter_side), antialias=True)
    except PILLOW_ERRORS:
        return None


def _decode_with_simplejpeg(data: torch.Tensor, height: int, width: int, least: Sequence[int]) -> torch.Tensor:
    """Decodes a JPEG at its size or at the half, quarter or eighth that is not smaller than `least`, as Pillow does.

    Raises:
        ValueError: if it is damaged.
    """
    scale = 1
    while scale < 8 and height >= 2 * scale * least[0] and width >= 2 * scale * least[1]:
        scale *= 2
    sides = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    return torch.from_numpy(simplejpeg.decode_jpeg(data.numpy(), "RGB", min_factor=1, **sides)).permute(2, 0, 1)


def open_jpeg(data: torch.Tensor) -> Image.Image | None:
    """Reads the header of a JPEG (about 0.03 ms); None for anything else."""
    if not _is_jpeg(data):
        return None
    try:
        return Image.open(io.BytesIO(data.numpy()))
    except PILLOW_ERRORS:
        return None


def _upright_pixels(image: Image.Image) -> torch.Tensor:
    """Returns uint8 (3, h, w), turned upright."""
    return torch.from_numpy(np.array(ImageOps.exif_transpose(image).convert("RGB"))).permute(2, 0, 1)


def resize_shorter_side(image: torch.Tensor, size: int | Sequence[int]) -> torch.Tensor:
    """Resizes (3, h, w) with antialiasing so that its shorter side is `size`, keeping the aspect ratio, or to a height
    and a width."""
    wanted = _resized(*image.shape[-2:], size)
    return image if list(image.shape[-2:]) == wanted else F.resize(image, wanted, antialias=True)


def _resized(height: int, width: int, size: int | Sequence[int]) -> list[int]:
    if isinstance(size, Letterbox):
        return size.fitted(height, width)
    if not isinstance(size, int):
        return list(size)
    scale = size / min(height, width)
    return [max(size, round(height * scale)), max(size, round(width * scale))]


def start_worker(worker: int) -> None:
    """Start-up of a loader's worker: the workers are the parallelism, threads inside them only compete."""
    torch.set_num_threads(1)
    leave_signals_to_parent()
