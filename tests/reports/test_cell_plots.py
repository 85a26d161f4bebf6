from pathlib import Path

import numpy as np
import pytest
import shapely
from matplotlib.axes import Axes
from PIL import Image

from reports import cell_plots
from reports.cell_plots import DrawnCells, draw_cells


def drawn(west: float, images: list[int]) -> DrawnCells:
    shapes = [shapely.box(west + x, 0, west + x + 1, 1) for x in range(len(images))]
    middle = west + 0.5 + np.arange(len(images))
    return DrawnCells(np.array(shapes), np.array(images), np.full(len(images), 0.5), middle, {1.0: 10.0, 25.0: 90.0})


def test_a_picture_with_empty_cells(tmp_path: Path):
    draw_cells(
        [drawn(10, [5]), drawn(10, [0, 3, 9])], np.array([0.1, 0.9]), np.array([10, 13.0]), "x", tmp_path / "a.png"
    )
    with Image.open(tmp_path / "a.png") as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
    assert {(253, 231, 37), (68, 1, 84), (221, 221, 221)} <= colours  # most, fewest and no photos


@pytest.mark.slow
@pytest.mark.parametrize(
    ("longitude", "limits"),
    [
        ([10, 12.0], (9.94, 12.06)),
        ([179.0, -179], (178.94, 181.06)),
        ([-170.0, -120, -70, -20, 30, 80, 130, 175], (-190.8, 190.8)),
    ],
)
def test_the_map_shows_the_photos(
    longitude: list[float], limits: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    maps: list[Axes] = []
    monkeypatch.setattr(cell_plots, "_draw_counts", lambda _, axes: maps.append(axes.figure.axes[0]))
    photos = np.array(longitude)
    draw_cells([drawn(10, [5, 3])], np.linspace(0, 1, len(photos)), photos, "x", tmp_path / "a.png")
    assert maps[0].get_xlim() == pytest.approx(limits, abs=0.01)
