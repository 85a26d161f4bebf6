import numpy as np
import pytest
from PIL import Image

from reports.geolocation.overlays import MOST_OPAQUE, overlay_heat


def test_the_hottest_place_is_yellow_and_the_coldest_shows_the_photo():
    heat = np.zeros((8, 8))
    heat[:4, :4] = 2
    drawn = np.asarray(overlay_heat(Image.new("RGB", (80, 40), (100, 100, 100)), heat)).astype(float)
    assert drawn.shape == (40, 80, 3)
    yellow = 255 * np.array([0.988362, 0.998364, 0.644924])  # the end of inferno
    assert drawn[5, 5] == pytest.approx(MOST_OPAQUE * yellow + (1 - MOST_OPAQUE) * 100, abs=1)
    assert drawn[35, 75] == pytest.approx([100, 100, 100], abs=1) and drawn[5, 75] == pytest.approx([100] * 3, abs=1)


def test_photos_lose_part_of_their_colour():
    drawn = np.asarray(overlay_heat(Image.new("RGB", (4, 4), (200, 0, 0)), np.zeros((2, 2))))
    grey = round(0.299 * 200)
    assert drawn[0, 0].tolist() == [round(200 + 0.6 * (grey - 200)), round(0.6 * grey), round(0.6 * grey)]


@pytest.mark.parametrize("heat", [np.full((3, 3), 5.0), np.full((3, 3), np.nan)])
def test_even_maps_leave_the_photo(heat: np.ndarray):
    drawn = np.asarray(overlay_heat(Image.new("L", (6, 6), 80), heat))
    assert (drawn == 80).all()
