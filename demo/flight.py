"""The demo city from above, on one autumn morning: map tiles, an orthophoto, and the outline of the region."""

import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import shapely
import utm
from PIL import Image
from tqdm import tqdm

from demo.city import ORIGIN, UTM_LETTER, UTM_ZONE, City
from demo.geotiff import write_geotiff
from demo.overhead import Cars, park_cars, render_overhead
from demo.weather import Weather, draw_weather
from demo.writing import in_processes

ZOOM, COARSER, TILE = 19, 3, 256  # 0.21 m a pixel at this latitude, and how many coarser zooms
REGION_RIM = 70.0  # metres of the region around the streets
RIM = 380.0  # metres of pictures around the streets: the region's rim and half of the widest level of a pyramid
METRES, BLOCK = 0.2, 512  # of a pixel of the orthophoto, and pixels a side of its blocks
EPSG = 32600 + UTM_ZONE
QUALITY = 88


def write_flight(city: City, folder: Path, seed: int, workers: int | None) -> dict[str, int]:
    """Writes tiles/zoom/column/row.jpg, orthophoto.tif and region.geojson, and returns how many tiles and blocks."""
    flight = city, park_cars(city, np.random.default_rng([seed, 20])), morning()
    tiles, (columns, rows) = sorted(covering_tiles(city, ZOOM)), orthophoto_size(city)
    blocks = [(top, left) for top in range(0, rows, BLOCK) for left in range(0, columns, BLOCK)]
    work = in_processes(_draw_tile, (*flight, folder / "tiles"), tiles, workers)
    for _ in tqdm(work, total=len(tiles), desc="Rendering aerial tiles", unit="tile"):
        pass
    work = in_processes(_draw_block, flight, blocks, workers)
    jpegs = tqdm(work, total=len(blocks), desc="Rendering the orthophoto", unit="block")
    corner = tuple(ORIGIN + north_west(city))
    write_geotiff(folder / "orthophoto.tif", jpegs, (columns, rows), BLOCK, corner, METRES, EPSG)
    for zoom in range(ZOOM - 1, ZOOM - 1 - COARSER, -1):
        _halve_tiles(folder / "tiles", zoom)
    (folder / "region.geojson").write_text(json.dumps(region(city)), encoding="utf-8")
    return {"tiles": len(tiles), "blocks": len(blocks)}


def morning() -> Weather:
    """The light of the flight: sun from the south-east and an exposure for shaded streets, as no street photo has."""
    weather = draw_weather(np.random.default_rng(0), "sunny")
    azimuth, elevation = np.deg2rad(125), np.deg2rad(48)
    flat = np.cos(elevation)
    direction = np.float32([np.sin(azimuth) * flat, np.cos(azimuth) * flat, np.sin(elevation)])
    return replace(weather, sun_dir=direction, ambient=weather.ambient * 1.4, sun=weather.sun * 0.8)


def region(city: City) -> dict:
    """Returns the streets with a rim around them as a GeoJSON feature collection, whose positions are degrees."""
    hull = shapely.MultiPoint(_street_ends(city)).convex_hull.buffer(REGION_RIM)
    shape = shapely.transform(hull, lambda xy: np.round(np.stack(_degrees(xy)[::-1], axis=1), 7))
    feature = {"type": "Feature", "properties": {"name": "demo city"}, "geometry": shapely.geometry.mapping(shape)}
    return {"type": "FeatureCollection", "features": [feature]}


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
    """Returns zoom, column and row of the tiles that cover the streets and a rim, whole tiles of the coarsest zoom."""
    ends = _street_ends(city)
    (west, south), (east, north) = ends.min(0) - RIM, ends.max(0) + RIM
    latitude, longitude = _degrees(np.array([[west, south], [west, north], [east, south], [east, north]]))
    x = (longitude + 180) / 360 * 2**zoom
    y = (0.5 - np.arcsinh(np.tan(np.radians(latitude))) / (2 * np.pi)) * 2**zoom
    whole = 2**COARSER
    columns, rows = (range(int(v.min() // whole) * whole, int(v.max() // whole + 1) * whole) for v in (x, y))
    return {(zoom, column, row) for column in columns for row in rows}


def north_west(city: City) -> np.ndarray:
    """Returns the corner of the orthophoto in the city, whole metres (2,)."""
    ends = _street_ends(city)
    return np.array([np.floor(ends[:, 0].min() - RIM), np.ceil(ends[:, 1].max() + RIM)])


def orthophoto_size(city: City) -> tuple[int, int]:
    """Returns columns and rows of the orthophoto."""
    ends, (west, north) = _street_ends(city), north_west(city)
    return int((ends[:, 0].max() + RIM - west) / METRES), int((north - ends[:, 1].min() + RIM) / METRES)


def _street_ends(city: City) -> np.ndarray:
    return np.concatenate([city.streets["a"], city.streets["b"]])


def _degrees(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude of places in the city (n, 2)."""
    return utm.to_latlon(*(xy + ORIGIN).T, UTM_ZONE, UTM_LETTER)


def _draw_tile(state: tuple[City, Cars, Weather, Path], tile: tuple[int, int, int]) -> None:
    city, cars, weather, folder = state
    zoom, column, row = tile
    picture = render_overhead(city, cars, weather, tile_to_city(*tile), TILE)
    path = folder / str(zoom) / str(column) / f"{row}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=QUALITY)


def _draw_block(state: tuple[City, Cars, Weather], place: tuple[int, int]) -> bytes:
    """Returns the block of the orthophoto that begins at a row and column as JPEG."""
    city, cars, weather = state
    west, north = north_west(city) + METRES * np.array([place[1], -place[0]])
    to_city = np.array([[METRES, 0, west], [0, -METRES, north]])
    file = io.BytesIO()
    picture = render_overhead(city, cars, weather, to_city, BLOCK)
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()


def _halve_tiles(folder: Path, zoom: int) -> None:
    """Writes the tiles of a zoom, each of its four children."""
    finer = folder / str(zoom + 1)
    for column, row in sorted({(int(p.parent.name) // 2, int(p.stem) // 2) for p in finer.glob("*/*.jpg")}):
        canvas = Image.new("RGB", (2 * TILE, 2 * TILE))
        for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
            with Image.open(finer / str(2 * column + x) / f"{2 * row + y}.jpg") as tile:
                canvas.paste(tile, (x * TILE, y * TILE))
        path = folder / str(zoom) / str(column) / f"{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.resize((TILE, TILE), Image.Resampling.BOX).save(path, quality=QUALITY)
