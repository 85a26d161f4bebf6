"""Colours of the ground: roadway with markings and crossings, kerb, pavement, grass of parks and front gardens."""

import numpy as np

from demo.city import PARK, City
from demo.facades import blend, frac, inside, keep
from demo.verges import paint_fields, paint_road
from demo.weather import FINE, SOFT, Weather, sample_noise

ASPHALT, SETTS = np.float32([0.41, 0.41, 0.43])[:, None], np.float32([0.47, 0.43, 0.39])[:, None]
PAVEMENT, GRASS = np.float32([0.62, 0.6, 0.57])[:, None], np.float32([0.32, 0.47, 0.2])[:, None]
WHITE = np.float32([0.88, 0.88, 0.85])[:, None]
REACH = 70.0  # metres within which streets and parks are told apart


def paint_ground(city: City, xy: np.ndarray, pixel: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, ...]:
    """Paints ground pixels.

    Args:
        xy: metres from the city's origin (2, P).
        pixel: metres that one pixel spans (P,).
        eye: the camera's position (2,).

    Returns:
        Surface colours (3, P); how far each pixel lies from the middle of its street, to the left of a→b, in metres
        (P,); that street's number (P,).
    """
    land = city.land
    asphalt, green = (ASPHALT, GRASS) if land is None else (np.float32(c)[:, None] for c in (land.asphalt, land.grass))
    kerb, lateral, t, street = _nearest_street(city, xy, eye)
    look = {k: city.streets[k] for k in ("road", "half", "marking", "cobbled", "parking", "lawn")}
    look["length"] = np.linalg.norm(city.streets["b"] - city.streets["a"], axis=1)
    look = {k: v.astype(np.float32).take(street) for k, v in look.items()}
    grain = sample_noise(FINE, xy[0] * 24, xy[1] * 24) - 0.5
    patch = sample_noise(SOFT, xy[0] * 3, xy[1] * 3) - 0.5
    tiles = inside(0.03 - 0.9 * np.abs(frac(xy / 0.9) - 0.5), pixel).max(0) * keep(pixel, 0.9)
    colour = PAVEMENT * (1 - 0.22 * tiles * (land is None or land.tiles))
    setts = inside(0.025 - 0.25 * np.abs(frac(xy * 4) - 0.5), pixel).max(0) * keep(pixel, 0.25)
    lawn = inside(kerb - (look["half"] - look["road"]) - 0.3, pixel) * look["lawn"]
    lawn = np.maximum(lawn, _in_parks(city, xy, eye))
    blend(colour, green * (1 + 0.5 * grain + 0.4 * patch), lawn)
    if land is not None:
        paint_fields(colour, land, kerb, xy, pixel)
    blend(colour, np.float32([0.75, 0.74, 0.71])[:, None], inside(0.16 - np.abs(kerb - 0.1), pixel))
    roadway = inside(-kerb, pixel)
    blend(colour, asphalt + (SETTS * (1 - 0.35 * setts) - asphalt) * look["cobbled"], roadway)
    blend(colour, colour * 0.72, inside(0.22 - np.abs(kerb + 0.2), pixel))
    blend(colour, WHITE, _paint_marks(city, lateral, t, street, look, pixel) * roadway)
    if land is not None:
        paint_road(colour, land, (kerb, lateral, t), look["road"], pixel)
    colour *= 1 + 0.22 * grain * keep(pixel, 0.4) + 0.3 * patch
    return colour, lateral, street


def _nearest_street(city: City, xy: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distance beyond the kerb (negative: on the roadway), offset to the left, way along, and number of the street."""
    a, b = city.streets["a"], city.streets["b"]
    middle = (a + b) / 2
    near = np.flatnonzero(np.linalg.norm(middle - eye, axis=1) < REACH + 37)
    ahead = xy - eye.astype(np.float32)[:, None]
    spread = ahead.mean(1)
    spread /= np.linalg.norm(spread) + 1e-6
    best = [np.full(xy.shape[1], 1e4, np.float32)] + [np.zeros(xy.shape[1], np.float32) for _ in range(2)]
    number = np.zeros(xy.shape[1], np.int32)
    for s in near:
        if max((a[s] - eye) @ spread, (b[s] - eye) @ spread) < -8:
            continue
        length = float(np.linalg.norm(b[s] - a[s]))
        ux, uy = ((b[s] - a[s]) / length).astype(np.float32)
        ax, ay = (a[s] - eye).astype(np.float32)
        dx, dy = ahead[0] - ax, ahead[1] - ay
        along, left = dx * ux + dy * uy, ux * dy - uy * dx
        over = along - np.clip(along, 0, length)
        kerb = np.sqrt(over * over + left * left) - np.float32(city.streets["road"][s])
        closer = kerb < best[0] - 1e-3  # around a shared end all are equally far: stay with the first
        for have, new in zip(best, (kerb, left, along), strict=True):
            np.copyto(have, new, where=closer)
        number[closer] = s
    return (*best, number)


def _in_parks(city: City, xy: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """1 on the grass of the parks near the camera, else 0 (P,)."""
    grass = np.zeros(xy.shape[1], np.float32)
    corners, kinds = city.blocks["corners"], city.blocks["kind"]
    near = np.linalg.norm(corners.mean(1) - eye, axis=1) < REACH
    for block in np.flatnonzero(near & (kinds == PARK)):
        within = np.ones(xy.shape[1], bool)
        for k in range(4):
            p, edge = corners[block, k], corners[block, (k + 1) % 4] - corners[block, k]
            within &= edge[0] * (xy[1] - p[1]) - edge[1] * (xy[0] - p[0]) > 0
        grass[within] = 1
    return grass


def _paint_marks(
    city: City, lateral: np.ndarray, t: np.ndarray, street: np.ndarray, look: dict[str, np.ndarray], pixel: np.ndarray
) -> np.ndarray:
    """Share of white paint (P,): middle line, parking lines, zebra crossings and stop lines."""
    clear, zebra = city.streets["clear"].astype(np.float32)[street], city.streets["zebra"][street]
    off = np.abs(lateral)
    to_first, to_last = t - clear[:, 0], look["length"] - clear[:, 1] - t
    free = np.minimum(to_first, to_last) > 6
    dash = (look["marking"] == 2) | (frac(t * 0.2) < 0.52)
    double = np.abs(off - 0.15 * (look["marking"] == 3))
    line = inside(0.08 - double, pixel) * (dash & (look["marking"] > 0) & free)
    bay_line = inside(0.06 - np.abs(off - look["road"] + 2.1), pixel) * look["parking"] * free
    bars = inside(0.28 - 1.1 * np.abs(frac(lateral / 1.1) - 0.5), pixel)
    bars = 0.5 + (bars - 0.5) * keep(pixel, 1.1)
    cross = np.zeros_like(t)
    for k, way in enumerate((to_first, to_last)):
        band = inside(1.5 - np.abs(way - 2.2), pixel)
        cross = np.maximum(cross, np.where(zebra[:, k], band * bars, inside(0.2 - np.abs(way - 4.2), pixel) * 0.8))
    return np.maximum(np.maximum(line, 0.7 * bay_line), cross * (off < look["road"] - 0.2))


def street_shade(city: City, lateral: np.ndarray, street: np.ndarray, weather: Weather) -> np.ndarray:
    """How much sun reaches the ground (P,): the row of houses on the sun's side shades that side of the street."""
    along = city.streets["b"] - city.streets["a"]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) @ weather.sun_dir[:2]
    height = 10.0 if city.land is None else city.land.shade
    reach = height * left / max(float(weather.sun_dir[2]), 0.1)  # of the shade, towards the far side
    edge = np.float32(city.streets["half"] * np.sign(left) - reach)[street]
    towards = np.sign(left).astype(np.float32)[street]
    return np.clip((edge - lateral) * towards * 1.5 + 0.5, 0, 1)
