"""Writes the demo city to disk in the layout and with the file names of SF-XS."""

from collections import Counter
from pathlib import Path

import numpy as np
import utm
from tqdm import tqdm

from commons.errors import ArgumentError
from demo.city import UTM_LETTER, UTM_ZONE, City, make_city
from demo.country import write_country
from demo.drive import plan_drive
from demo.render import render
from demo.sizes import COUNTRIES, SIZES, DemoSize, Drive
from demo.views import View, plan_views
from demo.weather import draw_weather
from demo.writing import in_processes, write_once

VERSION = 1  # raise it whenever the same seed gives other pictures
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))


def demo_or_folder(name: str | None, cache: Path) -> str | None:
    """Returns the folder of a data set: a demo city or country, made in `cache` at first use, or `name` itself."""
    if name in COUNTRIES:
        return str(write_country(cache / name, name))
    return str(make_demo(cache / name, name)) if name in SIZES else name


def make_demo(folder: Path, size: str = "demo", seed: int = 0, workers: int | None = None) -> Path:
    """Writes a demo data set, unless it is there already.

    The pictures do not depend on the number of workers. With more than one the calling script must keep its own work
    under `if __name__ == "__main__":`, as for every process pool.

    Args:
        folder: gets train/, val/ and test/, the latter two with database/ and queries/; of a drive only test/.
        size: a key of SIZES.
        seed: which city.
        workers: processes, by default one a processor.

    Returns:
        `folder`.

    Raises:
        ArgumentError: if there is no such size.
        PlacewiseError: if the folder holds anything else.
    """
    if size not in SIZES:
        raise ArgumentError("size", f"there is no demo of size '{size}': choose one of {', '.join(SIZES)}")
    wanted = {"size": size, "seed": seed, "version": VERSION}
    return write_once(Path(folder), wanted, "city", lambda unfinished: _write(unfinished, SIZES[size], seed, workers))


def _write(folder: Path, size: DemoSize | Drive, seed: int, workers: int | None) -> dict[str, int | dict[str, int]]:
    """Writes all pictures, and returns what the marker says of them."""
    city = make_city(size.plan, seed)
    views = plan_drive(city, size, seed) if isinstance(size, Drive) else plan_views(city, size, seed)
    counts = Counter(view.folder for view in views)
    for name in counts:
        (folder / name).mkdir(parents=True)
    work = in_processes(_write_in_worker, (city, folder), views, workers)
    for _ in tqdm(work, total=len(views), desc="Building the demo city", unit="image"):
        pass
    return {"images": counts} | ({} if isinstance(size, Drive) else {"classes": size.classes})


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


def _write_in_worker(state: tuple[City, Path], view: View) -> Path:
    city, folder = state
    return write_view(city, view, folder)
