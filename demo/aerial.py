"""Writes demo-aerial: the demo city from above as map tiles, and street photos of it with heading."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import utm
from PIL import Image
from tqdm import tqdm

from demo.camera import Camera
from demo.city import ORIGIN, UTM_LETTER, UTM_ZONE, City, make_city
from demo.overhead import Cars, park_cars, render_overhead
from demo.photos import write_view
from demo.sizes import AERIALS, AerialSize
from demo.views import View
from demo.weather import Weather, draw_weather
from demo.writing import in_processes, write_once

VERSION = 1  # raise it whenever the same seed gives other pictures
ZOOM, COARSER, TILE = 19, 4, 256  # 0.21 m a pixel at this latitude, and how many coarser zooms
RIM = 330.0  # metres of tiles around the streets: half of the widest level of a pyramid
SPLITS = ("train", "val", "test")
MIX = {"day": 0.5, "sunny": 0.2, "overcast": 0.2, "dusk": 0.05, "night": 0.05}


def write_aerial(folder: Path, name: str = "demo-aerial", seed: int = 0, workers: int | None = None) -> Path:
    """Writes demo-aerial, unless it is there already.

    tiles/ is a folder of map tiles zoom/column/row.jpg, taken on one autumn morning. train/, val/ and test/ are street
    photos of three quarters of the city in summer, in any light. Their names are those of SF-XL, with position and
    heading.

    Args:
        folder: to be made.
        name: a key of AERIALS.
        seed: which city.
        workers: processes, by default one a processor.

    Raises:
        PlacewiseError: if the folder holds anything else.
    """
    wanted = {"size": name, "seed": seed, "version": VERSION}
    size = AERIALS[name]
    return write_once(Path(folder), wanted, "city", lambda unfinished: _write(unfinished, size, seed, workers))


def _write(folder: Path, size: AerialSize, seed: int, workers: int | None) -> dict[str, int | dict[str, int]]:
    city = make_city(size.plan, seed)
    views = [view for split in range(3) for view in street_views(city, seed, split, size.photos[split])]
    for split in SPLITS:
        (folder / split).mkdir()
    flight = park_cars(city, np.random.default_rng([seed, 20])), morning()
    tiles = list(covering_tiles(city, ZOOM))
    work = in_processes(_draw_tile, (city, *flight, folder / "tiles"), tiles, workers)
    for _ in tqdm(work, total=len(tiles), desc="Flying over the demo city", unit="tile"):
        pass
    for zoom in range(ZOOM - 1, ZOOM - 1 - COARSER, -1):
        _halve_tiles(folder / "tiles", zoom)
    work = in_processes(_take_photo, (city, folder), views, workers)
    for _ in tqdm(work, total=len(views), desc="Driving through it", unit="photo"):
        pass
    return {"images": Counter(view.folder for view in views), "tiles": len(tiles)}


def morning() -> Weather:
    """The light of the flight: low sun from the south-east, which no street photo has."""
    weather = draw_weather(np.random.default_rng(0), "sunny")
    azimuth, elevation = np.deg2rad(125), np.deg2rad(40)
    flat = np.cos(elevation)
    direction = np.float32([np.sin(azimuth) * flat, np.cos(azimuth) * flat, np.sin(elevation)])
    return Weather(**(vars(weather) | {"sun_dir": direction}))


def street_views(city: City, seed: int, split: int, count: int) -> list[View]:
    """Draws photos along the streets of a quarter: half of them along the street, half in any direction."""
    streets = city.streets
    own = np.flatnonzero(streets["quarter"] == SPLITS[split])
    lengths = np.linalg.norm(streets["b"][own] - streets["a"][own], axis=1)
    views = []
    for index in range(count):
        rng = np.random.default_rng([seed, 21, split, index])
        s = rng.choice(own, p=lengths / lengths.sum())
        span = streets["b"][s] - streets["a"][s]
        left = np.array([-span[1], span[0]]) / np.linalg.norm(span)
        free = streets["road"][s] - 1.2
        place = streets["a"][s] + span * rng.uniform(0.03, 0.97) + left * rng.uniform(-free, free)
        azimuth = np.rad2deg(np.arctan2(span[0], span[1])) + rng.choice([0, 180]) + rng.normal(0, 6)
        heading = azimuth if rng.random() < 0.5 else rng.uniform(0, 360)
        camera = Camera(
            east=round(float(place[0]), 2),
            north=round(float(place[1]), 2),
            heading=float(round(heading) % 360),
            fov=rng.uniform(62, 82),
            height=rng.uniform(1.6, 2.6),
            pitch=float(np.clip(rng.normal(3, 1.5), -2, 8)),
            roll=float(np.clip(rng.normal(0, 1), -3, 3)),
        )
        condition = str(rng.choice(list(MIX), p=list(MIX.values())))
        views.append(View(SPLITS[split], camera, condition, (seed, 22, split, index)))
    return views


def tile_to_city(zoom: int, column: int, row: int, side: int = TILE) -> np.ndarray:
    """Returns the affine map from pixels of a Web Mercator tile to metres in the city, (2, 3), exact to 1 cm."""
    x = (column + np.array([0.0, 1.0, 0.0])) / 2**zoom
    y = (row + np.array([0.0, 0.0, 1.0])) / 2**zoom
    latitude = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))
    east, north, _, _ = utm.from_latlon(latitude, x * 360 - 180, UTM_ZONE, UTM_LETTER)
    corners = np.stack([east, north], axis=1) - ORIGIN
    pixels = np.float32([[0, 0], [side, 0], [0, side]])
    return cv2.getAffineTransform(pixels, corners.astype(np.float32))


def covering_tiles(city: City, zoom: int) -> set[tuple[int, int, int]]:
    """Returns zoom, column and row of the tiles that cover the streets and a rim around them."""
    ends = np.concatenate([city.streets["a"], city.streets["b"]]) + ORIGIN
    west, south = ends.min(0) - RIM
    east, north = ends.max(0) + RIM
    latitude, longitude = utm.to_latlon(
        np.array([west, west, east, east]), np.array([south, north, south, north]), UTM_ZONE, UTM_LETTER
    )
    x = (longitude + 180) / 360 * 2**zoom
    y = (0.5 - np.arcsinh(np.tan(np.radians(latitude))) / (2 * np.pi)) * 2**zoom
    columns, rows = (range(int(v.min()), int(v.max()) + 1) for v in (x, y))
    return {(zoom, column, row) for column in columns for row in rows}


def _draw_tile(state: tuple[City, Cars, Weather, Path], tile: tuple[int, int, int]) -> None:
    city, cars, weather, folder = state
    zoom, column, row = tile
    picture = render_overhead(city, cars, weather, tile_to_city(*tile), TILE)
    path = folder / str(zoom) / str(column) / f"{row}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=88)


def _halve_tiles(folder: Path, zoom: int) -> None:
    """Writes the tiles of a zoom, each of its four children; where one is missing, the tile is left out."""
    finer = {(int(p.parent.name), int(p.stem)) for p in (folder / str(zoom + 1)).glob("*/*.jpg")}
    for column, row in sorted({(column // 2, row // 2) for column, row in finer}):
        children = [(2 * column + x, 2 * row + y) for y in (0, 1) for x in (0, 1)]
        if not finer.issuperset(children):
            continue
        canvas = Image.new("RGB", (2 * TILE, 2 * TILE))
        for number, (x, y) in enumerate(children):
            with Image.open(folder / str(zoom + 1) / str(x) / f"{y}.jpg") as tile:
                canvas.paste(tile, (number % 2 * TILE, number // 2 * TILE))
        path = folder / str(zoom) / str(column) / f"{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.resize((TILE, TILE), Image.Resampling.BOX).save(path, quality=88)


def _take_photo(state: tuple[City, Path], view: View) -> Path:
    city, folder = state
    return write_view(city, view, folder)
