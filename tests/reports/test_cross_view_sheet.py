from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.cross_view_sheet import FRAME, GAP, TEXT, TILE, Answer, Located, draw_sheet
from reports.predictions import POSITIVE, RIGHT, WRONG
from reports.tiles import PAPER

SIDE = TILE + 2 * FRAME + GAP


@pytest.fixture
def sheet(tmp_path: Path) -> Image.Image:
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(tmp_path / "a.jpg")
    grey = np.full((64, 64, 3), 128, np.uint8)
    answers = [Answer(grey, 49.9, 0.5), Answer(grey, 50.0, 0.4)]
    headings = {"a.jpg": 90.0, "gone.jpg": float("nan")}
    photos = [Located(tmp_path / name, heading, grey, answers) for name, heading in headings.items()]
    return draw_sheet(photos, wide_m=120.0, cell_m=30.0)


def corner(sheet: Image.Image, row: int, column: int) -> tuple[int, int]:
    """Left and top of a picture inside its frame."""
    step = TILE + 2 * FRAME + TEXT + GAP
    return GAP + column * SIDE + FRAME, TEXT + GAP + row * step + TEXT + FRAME


def test_frames_say_what_is_right(sheet: Image.Image):
    colours = [sheet.getpixel((left - 2, top - 2)) for left, top in (corner(sheet, 0, column) for column in range(4))]
    assert colours[1:] == [POSITIVE, RIGHT, WRONG]
    assert sheet.size == (GAP + 4 * SIDE, TEXT + GAP + 2 * (TILE + 2 * FRAME + TEXT + GAP))


def test_the_square_is_as_large_as_a_cell(sheet: Image.Image):
    left, top = corner(sheet, 0, 2)
    line = [sheet.getpixel((left + x, top + TILE // 2)) for x in range(TILE)]
    edges = [x for x, colour in enumerate(line) if colour == PAPER]
    assert edges == [TILE // 2 - TILE // 8, TILE // 2 + TILE // 8]  # 30 of 120 metres


def test_the_arrow_leads_where_the_camera_looks_if_that_is_known(sheet: Image.Image):
    for row, drawn in ((0, True), (1, False)):
        left, top = corner(sheet, row, 1)
        east, west = (sheet.getpixel((left + TILE // 2 + x, top + TILE // 2)) for x in (25, -25))
        assert (east == POSITIVE) == drawn and west == (128, 128, 128)
