"""Writes demo-aerial: the demo city from above as map tiles and GeoTIFF, and street photos of it with heading."""

from collections import Counter
from pathlib import Path

import numpy as np

from commons.errors import ArgumentError
from demo.camera import Camera
from demo.city import City, make_city
from demo.flight import write_flight
from demo.photos import PANORAMA, PHONE, write_views
from demo.sizes import AERIALS, AerialSize
from demo.views import View
from demo.writing import write_once

VERSION = 3  # raise it whenever the same seed gives other pictures
SPLITS = ("train", "val", "test")
MIX = {"day": 0.5, "sunny": 0.2, "overcast": 0.2, "dusk": 0.05, "night": 0.05}
KINDS = {"": 0.7, PANORAMA: 0.15, PHONE: 0.15}
PHONE_SIDES = 384, 288  # pixels
PHONE_FOVS = {"main": (69, 2), "wide": (100, 3), "tele": (42, 3)}  # degrees along the longer side: mean and spread


def write_aerial(folder: Path, name: str = "demo-aerial", seed: int = 0, workers: int | None = None) -> Path:
    """Writes demo-aerial, unless it is there already.

    tiles/ is a folder of map tiles zoom/column/row.jpg, taken on one autumn morning, and orthophoto.tif the same flight
    as a GeoTIFF in UTM. region.geojson is the outline of the region. train/, val/ and test/ are street photos of three
    quarters of the city in summer, in any light, some of them panoramas and some from phones, whose EXIF data hold
    position and heading as well. Names are those of SF-XL, with position and heading.

    Args:
        folder: folder to create.
        name: a key of AERIALS.
        seed: which city.
        workers: processes, by default one a processor.

    Raises:
        ArgumentError: if there is no such name.
        PlacewiseError: if the folder holds anything else.
    """
    if name not in AERIALS:
        raise ArgumentError("name", f"there is no aerial demo '{name}': choose one of {', '.join(AERIALS)}")
    wanted = {"size": name, "seed": seed, "version": VERSION}
    size = AERIALS[name]
    return write_once(Path(folder), wanted, "city", lambda unfinished: _write(unfinished, size, seed, workers))


def _write(folder: Path, size: AerialSize, seed: int, workers: int | None) -> dict[str, int | dict[str, int]]:
    city = make_city(size.plan, seed)
    views = [view for split in range(3) for view in street_views(city, seed, split, size.photos[split])]
    for split in SPLITS:
        (folder / split).mkdir()
    flight = write_flight(city, folder, seed, workers)
    write_views(city, views, folder, workers, "Driving through it")
    kinds = Counter(view.kind or "street" for view in views)
    return {"images": Counter(view.folder for view in views), "kinds": kinds} | flight


def street_views(city: City, seed: int, split: int, count: int) -> list[View]:
    """Draws photos along the streets of a quarter.

    Cars take most photos, half of them along the street, half in any direction. Panoramas are centred on the direction
    of travel. Phones are held by people on the pavement or the roadway.
    """
    streets = city.streets
    own = np.flatnonzero(streets["quarter"] == SPLITS[split])
    lengths = np.linalg.norm(streets["b"][own] - streets["a"][own], axis=1)
    views = []
    for index in range(count):
        rng = np.random.default_rng([seed, 21, split, index])
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        s = rng.choice(own, p=lengths / lengths.sum())
        span = streets["b"][s] - streets["a"][s]
        left = np.array([-span[1], span[0]]) / np.linalg.norm(span)
        road, half = float(streets["road"][s]), float(streets["half"][s])
        aside = rng.uniform(-1, 1) * (road - 1.2)
        if kind == PHONE and rng.random() < 0.6:
            aside = rng.choice([-1, 1]) * rng.uniform(road + 0.4, half - 0.8)
        place = np.round(streets["a"][s] + span * rng.uniform(0.03, 0.97) + left * aside, 2)
        azimuth = np.rad2deg(np.arctan2(span[0], span[1])) + rng.choice([0, 180]) + rng.normal(0, 6)
        heading = azimuth if kind == PANORAMA or rng.random() < 0.5 else rng.uniform(0, 360)
        camera, size = draw_camera(kind, place, float(round(heading) % 360), rng)
        condition = str(rng.choice(list(MIX), p=list(MIX.values())))
        views.append(View(SPLITS[split], camera, condition, (seed, 22, split, index), kind=kind, size=size))
    return views


def draw_camera(
    kind: str, place: np.ndarray, heading: float, rng: np.random.Generator
) -> tuple[Camera, tuple[int, int] | None]:
    """Draws the camera of a kind of photo, and the size of its pictures (None for the usual one)."""
    where = {"east": float(place[0]), "north": float(place[1]), "heading": heading}
    if kind == PANORAMA:
        return Camera(**where, fov=360, height=rng.uniform(2.2, 2.8)), None
    if kind == PHONE:
        long, short = PHONE_SIDES
        width, height = (long, short) if rng.random() < 0.4 else (short, long)
        mean, spread = PHONE_FOVS[str(rng.choice(list(PHONE_FOVS), p=[0.6, 0.25, 0.15]))]
        tangent = np.tan(np.deg2rad(rng.uniform(mean - spread, mean + spread) / 2)) * width / long
        tilt = {
            "pitch": float(np.clip(rng.normal(3, 4), -7, 11)),
            "roll": float(np.clip(rng.normal(0, 1.5), -2.5, 2.5)),
        }
        fov = float(np.rad2deg(2 * np.arctan(tangent)))
        return Camera(**where, fov=fov, height=rng.uniform(1.4, 1.75), **tilt), (width, height)
    tilt = {"pitch": float(np.clip(rng.normal(3, 1.5), -2, 8)), "roll": float(np.clip(rng.normal(0, 1), -3, 3))}
    return Camera(**where, fov=rng.uniform(62, 82), height=rng.uniform(1.6, 2.6), **tilt), None
