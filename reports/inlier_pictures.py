"""Pictures of matching local features: the query beside each prediction, with lines between their inliers."""

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from reports.tiles import INK, PAPER, Colour, load_font, load_tile, tile_box

MOST_LINES = 100


def draw_inliers(query: Path, predictions: list[tuple[Path, np.ndarray]], tile: int = 320) -> Image.Image:
    """Draws a row for each prediction: the query, the prediction, and a line for each inlier.

    Of more than MOST_LINES inliers, evenly spaced ones are drawn. Colours only tell the lines apart: they go from the
    left to the right of the query.

    Args:
        query: the query's file.
        predictions: the file of each prediction, and its inliers: x and y in the query, then in the prediction, in
            shares of width and height, (n, 4).
        tile: side in pixels of the square that each photo is fitted into.

    Returns:
        An RGB picture.
    """
    gap, text = max(4, tile // 20), round(tile * 0.12)
    row = tile + text + gap
    sheet = Image.new("RGB", (3 * gap + 2 * tile, gap + row * len(predictions)), PAPER)
    draw = ImageDraw.Draw(sheet)
    lefts = (gap, 2 * gap + tile)
    for number, (path, lines) in enumerate(predictions):
        top = gap + number * row
        corners = []
        for image, left in zip((query, path), lefts, strict=True):
            sheet.paste(load_tile(image, tile), (left, top))
            corners.append(np.add(tile_box(image, tile), (left, top, left, top)))
        _draw_lines(draw, lines, corners, max(1, tile // 240))
        what = f"{number + 1}  ·  {len(lines)} matching local features"
        draw.text((gap, top + tile + text * 0.15), what, fill=INK, font=load_font(tile / 16))
    return sheet


def _draw_lines(draw: ImageDraw.ImageDraw, lines: np.ndarray, corners: list[np.ndarray], width: int) -> None:
    chosen = lines[np.unique(np.linspace(0, len(lines) - 1, MOST_LINES).round().astype(int))] if len(lines) else lines
    for line in chosen:
        ends = [
            tuple(corner[:2] + share * (corner[2:] - corner[:2]))
            for share, corner in zip((line[:2], line[2:]), corners, strict=True)
        ]
        draw.line(ends, fill=_colour(float(line[0])), width=width)


def _colour(share: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(0.85 * min(max(share, 0), 1), 0.85, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)
