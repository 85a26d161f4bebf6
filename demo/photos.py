"""Takes the pictures of the demo city and names them as those of SF-XL."""

from pathlib import Path

import numpy as np
import utm

from demo.city import UTM_LETTER, UTM_ZONE, City
from demo.render import render
from demo.views import View
from demo.weather import draw_weather

LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))


def image_name(east: float, north: float, heading: int, pano_id: str, timestamp: str, note: str) -> str:
    """File name by the SF-XL convention, which carries the picture's place, heading and time.

    Args:
        east, north: UTM metres in the demo city's zone.
        heading: degrees clockwise from north, 0 to 359.
        timestamp: year and month, as in "202406".
        note: free text without "@".
    """
    lat, lon = utm.to_latlon(east, north, UTM_ZONE, UTM_LETTER)
    place = f"{east:010.2f}@{north:010.2f}@{UTM_ZONE}@{UTM_LETTER}@{lat:09.5f}@{lon:010.5f}"
    return f"@{place}@{pano_id}@@{heading:03d}@@@@{timestamp}@{note}@.jpg"


def write_view(city: City, view: View, folder: Path) -> Path:
    """Takes one picture and saves it under its name in the view's folder within `folder`."""
    rng = np.random.default_rng(view.seed)
    pano_id = "".join(rng.choice(LETTERS, 22))
    shared = rng if view.drive is None else np.random.default_rng(view.drive)
    timestamp = f"{shared.integers(2022, 2026)}{shared.integers(1, 13):02d}"
    name = image_name(*view.utm, int(view.camera.heading), pano_id, timestamp, view.note)
    picture = render(city, view.camera, draw_weather(shared, view.condition), rng)
    path = folder / view.folder / name
    picture.save(path, quality=90)
    return path
