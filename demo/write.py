"""Writes the demo city to disk in the layout and with the file names of SF-XS."""

from collections import Counter
from pathlib import Path

from commons.errors import ArgumentError
from demo.aerial import write_aerial
from demo.city import make_city
from demo.country import write_country
from demo.drive import plan_drive
from demo.photos import write_views
from demo.sizes import AERIALS, COUNTRIES, SIZES, DemoSize, Drive
from demo.views import plan_views
from demo.writing import write_once

VERSION = 1  # raise it whenever the same seed gives other pictures


def demo_or_folder(name: str | None, cache: Path) -> str | None:
    """Returns the folder of a data set: a demo city or country, made in `cache` at first use, or `name` itself."""
    if name in AERIALS:
        return str(write_aerial(cache / name, name))
    if name in COUNTRIES:
        return str(write_country(cache / name, name))
    return str(make_demo(cache / name, name)) if name in SIZES else name


def demo_path(path: str, cache: Path) -> str:
    """Returns a path, which may lie in a demo data set that is made at first use, such as demo-aerial/tiles."""
    name, *below = Path(path).parts or [""]
    known = not Path(path).exists() and name in {*AERIALS, *SIZES}
    return str(Path(demo_or_folder(name, cache), *below)) if known else path


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
    write_views(city, views, folder, workers, "Building the demo city")
    return {"images": counts} | ({} if isinstance(size, Drive) else {"classes": size.classes})
