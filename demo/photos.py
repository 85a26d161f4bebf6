"""Takes the pictures of the demo city and names them as those of SF-XL."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import utm
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational
from tqdm import tqdm

from demo.camera import Camera
from demo.city import UTM_LETTER, UTM_ZONE, City
from demo.render import SIDE, render, render_panorama
from demo.views import View
from demo.weather import draw_weather
from demo.writing import in_processes

LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
PANORAMA, PHONE = "panorama", "phone"  # kinds of views
PANORAMA_WIDTH = 768
HOURS = {"night": 22, "dusk": 20}


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


def write_views(city: City, views: Sequence[View], folder: Path, workers: int | None, title: str) -> None:
    """Takes pictures in several processes (None for one a processor) and saves them as `write_view` does."""
    work = in_processes(_write_view, (city, folder), views, workers)
    for _ in tqdm(work, total=len(views), desc=title, unit="photo"):
        pass


def _write_view(state: tuple[City, Path], view: View) -> Path:
    city, folder = state
    return write_view(city, view, folder)


def write_view(city: City, view: View, folder: Path) -> Path:
    """Takes one picture and saves it under its name in the view's folder within `folder`."""
    rng = np.random.default_rng(view.seed)
    pano_id = "".join(rng.choice(LETTERS, 22))
    shared = rng if view.drive is None else np.random.default_rng(view.drive)
    timestamp = f"{shared.integers(2022, 2026)}{shared.integers(1, 13):02d}"
    name = image_name(*view.utm, int(view.camera.heading), pano_id, timestamp, view.note)
    weather, save = draw_weather(shared, view.condition), {"quality": 90}
    if view.kind == PANORAMA:
        picture = render_panorama(city, view.camera, weather, rng, PANORAMA_WIDTH)
    else:
        picture = render(city, view.camera, weather, rng, view.size or SIDE)
    if view.kind == PHONE:
        save["exif"] = phone_exif(view, picture.size, f"{timestamp[:4]}:{timestamp[4:]}", rng)
    path = folder / view.folder / name
    picture.save(path, **save)
    return path


def phone_exif(view: View, size: tuple[int, int], month: str, rng: np.random.Generator) -> Image.Exif:
    """Returns what a phone writes into a photo: position, heading, time and focal length.

    Args:
        view: view of the photo.
        size: columns and rows.
        month: as in "2024:06".
        rng: draws day and time.
    """
    latitude, longitude = utm.to_latlon(*view.utm, UTM_ZONE, UTM_LETTER)
    day, minute, second = (int(rng.integers(1, stop)) for stop in (28, 60, 60))
    hour = HOURS.get(view.condition) or int(rng.integers(9, 17))
    exif = Image.Exif()
    exif.update({Base.Make: "Placewise", Base.Model: "Demo phone", Base.Orientation: 1})
    exif.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: f"{month}:{day:02d} {hour:02d}:{minute:02d}:{second:02d}",
            Base.FocalLengthIn35mmFilm: _focal_length(view.camera, size),
        }
    )
    exif.get_ifd(IFD.GPSInfo).update(
        {
            GPS.GPSVersionID: b"\2\3\0\0",
            GPS.GPSLatitudeRef: "N",
            GPS.GPSLatitude: _sexagesimal(latitude),
            GPS.GPSLongitudeRef: "E",
            GPS.GPSLongitude: _sexagesimal(longitude),
            GPS.GPSImgDirectionRef: "T",
            GPS.GPSImgDirection: IFDRational(round(view.camera.heading * 100), 100),
        }
    )
    return exif


def _focal_length(camera: Camera, size: tuple[int, int]) -> int:
    """Focal length in millimetres for a film 36 mm along the longer side."""
    along_width = 18 / np.tan(np.deg2rad(camera.fov) / 2)
    return round(float(along_width * size[0] / max(size)))


def _sexagesimal(degrees: float) -> tuple[IFDRational, ...]:
    """Degrees, minutes and ten-thousandths of seconds, which are 3 mm."""
    seconds = round(degrees * 36_000_000)
    minutes, seconds = divmod(seconds, 600_000)
    return IFDRational(minutes // 60, 1), IFDRational(minutes % 60, 1), IFDRational(seconds, 10_000)
