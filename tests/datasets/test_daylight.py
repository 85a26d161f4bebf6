from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets.daylight import daylight, sun_height
from datasets.places import make_places


def photos(names: list[str], times: list[str] | None = None, latitude: float = 50.0):
    degrees = np.full(len(names), latitude), np.full(len(names), 8.0)
    times = pa.array(times or [""] * len(names), pa.string())
    return make_places(Path(), pa.array(names), latitude=degrees[0], longitude=degrees[1], timestamp=times)


def test_notes_of_names():
    at = "@1@2@32@U@50@8@pano@@90@@@@202406@{}@.jpg"
    names = [at.format(note) for note in ("night0012", "sunny", "Overcast", "dusk", "dayton", "")]
    names += ["drive/" + at.format("rain"), "IMG_1.jpg"]
    assert daylight(photos(names)).tolist() == ["night", "day", "day", "", "", "", "day", ""]


@pytest.mark.parametrize(
    ("time", "latitude", "expected"),
    [
        ("2024:06:21 13:00:00", 50, "day"),
        ("2024:06:21 01:00:00", 50, "night"),
        ("2024:06:21 21:00:00", 50, ""),
        ("2024:12:21 19:30:00", 50, "night"),
        ("2024:06:21 00:00:00", 70, "day"),
        ("2024:12:21 12:00:00", 70, ""),
        ("2024:06:21 13:00:00", np.nan, ""),
        ("202406", 50, ""),
    ],
)
def test_times(time: str, latitude: float, expected: str):
    assert daylight(photos(["a.jpg"], [time], latitude)).tolist() == [expected]


def test_height_of_the_sun_at_noon():
    """90 degrees less latitude, plus 23.44 at the solstice in June."""
    assert sun_height(172, np.array([12.0, 0.0]), 50) == pytest.approx([63.44, -16.56], abs=0.05)
    assert sun_height(355, np.array([12.0]), 50) == pytest.approx([16.56], abs=0.05)
