"""Writes the demo country: photos by split, a table for each split, and the polygons of the municipalities."""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from PIL import Image
from tqdm import tqdm

from commons.errors import ArgumentError
from demo.drives import SPLITS, Drive, draw_cameras, names_of, plan_drives
from demo.geography import COUNTRY, Country, make_country, to_degrees
from demo.render import render
from demo.roads import LENGTH, make_road
from demo.sizes import COUNTRIES, CountrySize
from demo.traits import Traits
from demo.weather import draw_weather
from demo.writing import in_processes, write_once

VERSION = 1  # raise it whenever the same seed gives other photos
SIDE = 160
COLUMNS = ("path", "latitude", "longitude", "heading", "country", "region", "sub_region", "city", "sequence", "user")
README = """The demo country of Placewise: {photos} procedural photos of {country}, an island that does not exist.

train.csv, val.csv, test.csv  one row a photo; paths are relative to this folder
municipalities.geojson        polygons with name, region and country

Nothing here shows a real place. The photos may be used under the licence of Placewise (MIT).
"""


def write_country(folder: str | Path, size: str = "demo-country", seed: int = 0, workers: int | None = None) -> Path:
    """Writes a demo country, unless it is there already.

    The files do not depend on the number of workers. With more than one the calling script must keep its own work
    under `if __name__ == "__main__":`, as for every process pool.

    Args:
        folder: gets train/, val/ and test/ with photos, a table for each, and municipalities.geojson.
        size: a key of COUNTRIES.
        seed: which country.
        workers: processes, by default one a processor.

    Returns:
        `folder`.

    Raises:
        ArgumentError: if there is no such size.
        PlacewiseError: if the folder holds anything else.
    """
    if size not in COUNTRIES:
        raise ArgumentError("size", f"there is no demo country of size '{size}': choose one of {', '.join(COUNTRIES)}")
    wanted = {"size": size, "seed": seed, "version": VERSION}
    return write_once(
        Path(folder), wanted, "country", lambda unfinished: _write(unfinished, COUNTRIES[size], seed, workers)
    )


def make_traits(size: CountrySize, seed: int) -> Traits:
    """The country and how its places look."""
    return Traits(make_country(seed, size.municipalities, size.regions), seed)


def take_photos(traits: Traits, drive: Drive, count: int, seed: int) -> Iterator[tuple[Image.Image, dict, int]]:
    """Takes the photos of a drive.

    Yields:
        Photo of SIDE x SIDE pixels, its row of the table without a path, and its JPEG quality.
    """
    country = traits.country
    rng = np.random.default_rng([seed, 32, drive.split, drive.number])
    municipality = int(country.municipality(drive.xy[None])[0])
    city, path = make_road(traits.look(drive.xy, municipality, rng), drive.urban, drive.season, rng)
    for camera in draw_cameras(drive, path, count, rng):
        weather = draw_weather(rng, drive.weather)
        weather = replace(weather, gain=np.float32(weather.gain * drive.user.gain))
        photo = render(city, camera, weather, rng, SIDE)
        away = camera.position - path.at(LENGTH / 2)
        place = drive.xy + away / 1000
        longitude, latitude = to_degrees(place)
        row = {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}", "heading": int(camera.heading)}
        row |= {"country": COUNTRY} | names_of(country, place) | {"sequence": drive.name, "user": drive.user.name}
        yield photo, row, int(np.clip(drive.user.quality + rng.normal(0, 4), 70, 96))


def to_geojson(country: Country) -> dict:
    """The municipalities as a GeoJSON object with name, region and country."""
    features = [
        {
            "type": "Feature",
            "properties": {"name": str(name), "region": str(country.regions[region]), "country": COUNTRY},
            "geometry": shapely.geometry.mapping(shape),
        }
        for name, region, shape in zip(country.names, country.region, country.shapes, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}


def _write(folder: Path, size: CountrySize, seed: int, workers: int | None) -> dict[str, dict[str, int]]:
    """Writes everything but the marker, and returns what the marker says of it."""
    traits = make_traits(size, seed)
    for split in SPLITS:
        (folder / split).mkdir()
    drives = plan_drives(traits.country, size, seed)
    tables: dict[str, list[dict]] = {split: [] for split in SPLITS}
    total = len(drives) * size.photos
    work = in_processes(_write_drive, (traits, size, seed, folder), drives, workers)
    with tqdm(total=total, desc="Building the demo country", unit="photo") as bar:
        for drive, rows in zip(drives, work, strict=True):
            tables[SPLITS[drive.split]] += rows
            bar.update(len(rows))
    for split, rows in tables.items():
        _write_table(folder / f"{split}.csv", sorted(rows, key=lambda row: row["path"]))
    (folder / "municipalities.geojson").write_text(json.dumps(to_geojson(traits.country)), encoding="utf-8")
    (folder / "README.txt").write_text(README.format(photos=total, country=COUNTRY), encoding="utf-8")
    return {"images": {split: len(rows) for split, rows in tables.items()}}


def _write_table(path: Path, rows: list[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_drive(state: tuple[Traits, CountrySize, int, Path], drive: Drive) -> list[dict]:
    """Writes the photos of a drive and returns their rows. File names are random, so that neighbours do not show."""
    traits, size, seed, folder = state
    rows = []
    for photo, row, quality in take_photos(traits, drive, size.photos, seed):
        key = f"{seed}/{drive.name}/{len(rows)}"
        path = f"{SPLITS[drive.split]}/{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}.jpg"
        photo.save(folder / path, quality=quality)
        rows.append({"path": path} | row)
    return rows
