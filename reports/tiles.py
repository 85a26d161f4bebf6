"""Photos of any size, shape and mode fitted into squares of one size."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)
INK: Colour = (32, 35, 40)
EMPTY: Colour = (236, 238, 241)
UNREADABLE: Colour = (208, 212, 218)
ORIENTATION = 0x0112


@cache
def load_font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Loads the font that comes with Pillow, at `size` pixels."""
    return ImageFont.load_default(size)


def load_tile(path: Path, tile: int) -> Image.Image:
    """Fits a whole photo, upright, into a square. The rest of the square is light grey.

    Args:
        path: The photo's file. If it cannot be opened, the square shows a message with its name.
        tile: Side of the square in pixels.

    Returns:
        An RGB picture of `tile` x `tile` pixels.
    """
    photo = load_photo(path, tile)
    if photo is None:
        return _missing_tile(path, tile)
    width, height = photo.size
    square = Image.new("RGB", (tile, tile), EMPTY)
    square.paste(photo, ((tile - width) // 2, (tile - height) // 2))
    return square


def load_photo(path: Path, side: int) -> Image.Image | None:
    """Loads a photo, upright, as an RGB picture whose longer side is `side` pixels; None if it cannot be opened."""
    try:
        with Image.open(path) as image:
            # JPEG decodes much faster at a fraction of its size. Twice the side keeps the resize below sharp.
            image.draft(None, (2 * side, 2 * side))
            photo = _to_rgb(ImageOps.exif_transpose(image))
    except Exception:  # Pillow's readers raise errors of many kinds on broken files
        return None
    return photo.resize(_fitted(photo.size, side), Image.Resampling.LANCZOS, reducing_gap=3.0)


def tile_box(path: Path, tile: int) -> tuple[int, int, int, int]:
    """Returns left, top, right and bottom of the photo inside the square of `load_tile`; all of an unreadable one's."""
    try:
        with Image.open(path) as image:
            size = image.size[::-1] if image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8) else image.size
    except Exception:  # as in load_photo
        return 0, 0, tile, tile
    width, height = _fitted(size, tile)
    left, top = (tile - width) // 2, (tile - height) // 2
    return left, top, left + width, top + height


def _fitted(size: tuple[int, int], tile: int) -> tuple[int, int]:
    width, height = (max(1, round(length * tile / max(size))) for length in size)
    return width, height


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts any mode to RGB: deep grey values are scaled to 8 bits, transparent parts turn white."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
        # 16-bit files have a known range. Floating-point files have none: their own range is stretched.
        low, high = (values.min(), values.max()) if image.mode == "F" else (0, 65535)
        grey = np.clip((values - low) / max(high - low, 1e-12) * 255, 0, 255)
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*PAPER, 255)), image).convert("RGB")
    return image.convert("RGB")


def _missing_tile(path: Path, tile: int) -> Image.Image:
    square = Image.new("RGB", (tile, tile), UNREADABLE)
    draw, font = ImageDraw.Draw(square), load_font(tile / 20)
    name, lines = Path(path).name.encode("utf-8", "replace").decode(), ["cannot be opened:"]
    per_line = 28
    lines += [name[start : start + per_line] for start in range(0, len(name), per_line)][:8]
    draw.multiline_text((tile / 2, tile / 2), "\n".join(lines), fill=INK, font=font, anchor="mm", align="center")
    return square
