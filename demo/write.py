"""Writes the demo city to disk in the layout and with the file names of SF-XS."""

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import utm
from tqdm import tqdm

from commons.errors import ArgumentError, PlacewiseError
from commons.files import remove_abandoned
from demo.city import UTM_LETTER, UTM_ZONE, City, make_city
from demo.drive import plan_drive
from demo.render import render
from demo.sizes import SIZES, DemoSize, Drive
from demo.views import View, plan_views
from demo.weather import draw_weather

VERSION = 1  # raise it whenever the same seed gives other pictures
MARKER = "demo.json"
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))


def demo_or_folder(name: str | None, cache: Path) -> str | None:
    """Returns the folder of a data set: a demo city, made in `cache` at first use, or `name` itself."""
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
    folder = Path(folder)
    if size not in SIZES:
        raise ArgumentError("size", f"there is no demo of size '{size}': choose one of {', '.join(SIZES)}")
    wanted = {"size": size, "seed": seed, "version": VERSION}
    if _is_complete(folder, wanted):
        return folder
    chosen = SIZES[size]
    city = make_city(chosen.plan, seed)
    views = plan_drive(city, chosen, seed) if isinstance(chosen, Drive) else plan_views(city, chosen, seed)
    counts = Counter(view.folder for view in views)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder.parent, f".{folder.name}-????????")
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        partial = Path(temporary, folder.name)
        for name in counts:
            (partial / name).mkdir(parents=True)
        work = _write_all(city, views, partial, chosen, seed, workers or os.cpu_count() or 1)
        for _ in tqdm(work, total=len(views), desc="Building the demo city", unit="image"):
            pass
        about = {"images": counts} if isinstance(chosen, Drive) else {"images": counts, "classes": chosen.classes}
        (partial / MARKER).write_text(json.dumps(wanted | about, indent=2))
        try:
            with suppress(FileNotFoundError):
                folder.rmdir()  # Windows renames onto nothing, not even an empty folder
            os.rename(partial, folder)
        except OSError:
            if not _is_complete(folder, wanted):  # by another run meanwhile
                raise
    return folder


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


def _is_complete(folder: Path, wanted: dict[str, str | int]) -> bool:
    """Whether the folder holds the demo asked for; False if it is empty or missing."""
    marker = folder / MARKER
    if not marker.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PlacewiseError(f"{folder} exists and is not a demo city: name another folder, or move it away")
        return False
    found = json.loads(marker.read_text())
    if any(found.get(key) != value for key, value in wanted.items()):
        have = ", ".join(f"{key} {found.get(key)}" for key in wanted)
        raise PlacewiseError(f"{folder} holds another demo city ({have}): name another folder, or delete it")
    return True


def _write_all(
    city: City, views: list[View], folder: Path, size: DemoSize | Drive, seed: int, workers: int
) -> Iterator[Path]:
    """Writes all views, here or in a pool of processes, and yields the paths in the order of the views."""
    if workers == 1:
        yield from (write_view(city, view, folder) for view in views)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the caller's threads and devices
    with ProcessPoolExecutor(workers, context, _start_worker, (size, seed, folder)) as pool:
        yield from pool.map(_write_in_worker, views, chunksize=4)


_worker: dict[str, City | Path] = {}


def _start_worker(size: DemoSize | Drive, seed: int, folder: Path) -> None:
    """Gives a worker process its own copy of the city."""
    _worker.update(city=make_city(size.plan, seed), folder=folder)


def _write_in_worker(view: View) -> Path:
    return write_view(_worker["city"], view, _worker["folder"])
