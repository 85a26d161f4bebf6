"""A sheet of street photos beside aerial images of the place and of the cells that were found, north up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from reports.predictions import MUTED, POSITIVE, QUERY, RIGHT, WRONG, format_distance
from reports.tiles import INK, PAPER, Colour, load_font, load_tile

TILE, GAP, TEXT, FRAME = 240, 12, 24, 4


@dataclass(frozen=True)
class Answer:
    """A cell that was found for a photo.

    Attributes:
        image: aerial image with the cell in the middle, uint8 (s, s, 3).
        metres: metres from the photo to the middle of the cell.
        similarity: similarity of both.
    """

    image: np.ndarray
    metres: float
    similarity: float


@dataclass(frozen=True)
class Located:
    """A street photo, its place and the cells that were found for it.

    Attributes:
        path: path of the photo.
        heading: degrees clockwise from north; NaN where unknown.
        place: aerial image with the photo in the middle, uint8 (s, s, 3).
        answers: the most similar cells, the best first.
    """

    path: Path
    heading: float
    place: np.ndarray
    answers: Sequence[Answer]


def draw_sheet(photos: Sequence[Located], wide_m: float, cell_m: float, radius_m: float = 50.0) -> Image.Image:
    """Draws a row for each photo.

    Frames are dark grey (photo), blue (its place, with an arrow in the direction of the camera where it is known), and
    green or red (cells nearer or farther than the radius). Squares are cells.

    Args:
        photos: photos with equal numbers of answers.
        wide_m: width of aerial images in metres.
        cell_m: side of a cell in metres.
        radius_m: within which an answer is right.

    Returns:
        An RGB picture.
    """
    columns = 2 + max(len(photo.answers) for photo in photos)
    step, side = TILE + 2 * FRAME + TEXT + GAP, TILE + 2 * FRAME + GAP
    sheet = Image.new("RGB", (GAP + columns * side, TEXT + GAP + len(photos) * step), PAPER)
    about = f"aerial images: {wide_m:g} m wide, north up; squares: cells of {cell_m:g} m; green: within {radius_m:g} m"
    ImageDraw.Draw(sheet).text((GAP, GAP), about, fill=MUTED, font=load_font(15))
    pixels = TILE / wide_m
    for row, photo in enumerate(photos):
        top = TEXT + GAP + row * step
        known = math.isfinite(photo.heading)
        heading = f"heading {round(photo.heading) % 360}°" if known else ""
        _paste(sheet, load_tile(photo.path, TILE), GAP, top, QUERY, "photo")
        place = _square(photo.place)
        _arrow(place, photo.heading)
        _paste(sheet, place, GAP + side, top, POSITIVE, "  ·  ".join(filter(None, ("its place", heading))))
        for number, answer in enumerate(photo.answers, 1):
            image, half = _square(answer.image), cell_m * pixels / 2
            middle = TILE / 2
            ImageDraw.Draw(image).rectangle([middle - half, middle - half, middle + half, middle + half], outline=PAPER)
            text = f"{number}  ·  {format_distance(answer.metres)}  ·  {answer.similarity:.3f}"
            colour = RIGHT if answer.metres < radius_m else WRONG
            _paste(sheet, image, GAP + (1 + number) * side, top, colour, text)
    return sheet


def _square(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image).resize((TILE, TILE), Image.Resampling.LANCZOS)


def _arrow(image: Image.Image, heading: float) -> None:
    """Marks the middle, with an arrow in a direction if it is known."""
    draw, middle, radius = ImageDraw.Draw(image), TILE / 2, 5
    draw.ellipse([middle - radius, middle - radius, middle + radius, middle + radius], fill=POSITIVE, outline=PAPER)
    if math.isfinite(heading):
        turn = math.radians(heading)
        ahead = np.array([math.sin(turn), -math.cos(turn)])
        side = np.array([-ahead[1], ahead[0]])
        tip = middle + 34 * ahead
        draw.line([middle, middle, *tip], fill=PAPER, width=5)
        draw.line([middle, middle, *tip], fill=POSITIVE, width=3)
        corners = (tip + 8 * ahead, tip + 6 * side, tip - 6 * side)
        draw.polygon([tuple(corner) for corner in corners], fill=POSITIVE, outline=PAPER)


def _paste(sheet: Image.Image, image: Image.Image, left: int, top: int, colour: Colour, text: str) -> None:
    draw, side = ImageDraw.Draw(sheet), TILE + 2 * FRAME
    draw.rectangle([left, top + TEXT, left + side - 1, top + TEXT + side - 1], fill=colour)
    sheet.paste(image, (left + FRAME, top + TEXT + FRAME))
    draw.text((left, top + TEXT / 2 + 2), text, fill=INK, font=load_font(15), anchor="lm")
