"""The demo city from straight above: roadways, cars, trees and roofs with the shadows that the sun throws."""

from dataclasses import dataclass

import cv2
import numpy as np

from demo.city import CONIFER, TREE, City
from demo.countryside import VERGE, beyond_streets, paint_fields
from demo.facades import blend
from demo.ground import paint_ground
from demo.props import CAR_PAINTS
from demo.roads import LEAVES
from demo.styles import pick
from demo.weather import FINE, SOFT, Weather, sample_noise

PATCH = 64  # pixels a side of what is painted at once; the painter looks at streets near a point
ASIDE = 25.0  # metres from there to the patch, so that all of its streets lie ahead
SHIFT = 4  # binary digits after the point in coordinates of outlines
CROWN = {TREE: (2.5, 5.0), CONIFER: (1.3, 4.0)}  # radius and middle height of trees of size 1, as in demo.props
DRY_GRASS = np.float32([0.5, 0.46, 0.26])


@dataclass(frozen=True)
class Cars:
    """Parked cars: middle (n, 2), unit vector along (n, 2), colour (n, 3)."""

    middle: np.ndarray
    along: np.ndarray
    colour: np.ndarray


def park_cars(city: City, rng: np.random.Generator) -> Cars:
    """Draws the cars of one flight over the whole city; street photos have others."""
    streets, rows = city.streets, []
    for s in np.flatnonzero(streets["parking"]):
        span = streets["b"][s] - streets["a"][s]
        length = np.linalg.norm(span)
        along = span / length
        left = np.array([-along[1], along[0]])
        first, last = streets["clear"][s, 0] + 8, length - streets["clear"][s, 1] - 8
        for side in (-1, 1):
            for at in np.arange(first, last, 5.8):
                if rng.random() < 0.4:
                    place = streets["a"][s] + along * at + left * side * (streets["road"][s] - 1.1)
                    rows.append((place, along * side, pick(rng, CAR_PAINTS, 0.02)))
    return Cars(*(np.array(column, np.float64).reshape(len(rows), -1) for column in zip(*rows, strict=True)))


def render_overhead(city: City, cars: Cars, weather: Weather, to_city: np.ndarray, side: int) -> np.ndarray:
    """Draws a square of the city in autumn as seen from straight above.

    Args:
        city: what to draw.
        cars: parked in it.
        weather: light; the direction of the sun throws shadows.
        to_city: map from pixel coordinates (column, row) to metres in the city, (2, 3).
        side: side in pixels.

    Returns:
        uint8 RGB (side, side, 3).
    """
    to_pixel = cv2.invertAffineTransform(to_city)
    metre = float(np.sqrt(abs(np.linalg.det(to_city[:, :2]))))
    picture = _ground(city, to_city, side, metre)
    middle = to_city @ np.array([side / 2, side / 2, 1])
    reach = side * metre * 0.75 + 60
    buildings = np.flatnonzero(np.abs(city.buildings["footprint"].mean(1) - middle).max(1) < reach)
    trees = np.flatnonzero(
        np.isin(city.props["kind"], list(CROWN)) & (np.abs(city.props["xy"] - middle).max(1) < reach)
    )
    _draw_cars(picture, cars, np.flatnonzero(np.abs(cars.middle - middle).max(1) < reach), to_pixel)
    lit = _shadows(city, buildings, trees, weather, to_pixel, side)
    sun = weather.sun * float(weather.sun_dir[2])
    picture *= weather.ambient * 0.95 + sun * 0.9 * lit[..., None]
    _draw_trees(picture, city, trees, weather, to_pixel, metre)
    for building in buildings[np.argsort(city.buildings["height"][buildings])]:
        _draw_roof(picture, city, building, weather, to_pixel)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _ground(city: City, to_city: np.ndarray, side: int, metre: float) -> np.ndarray:
    """Returns the colours of the ground in autumn, float32 (side, side, 3)."""
    picture = np.empty((side, side, 3), np.float32)
    for top in range(0, side, PATCH):
        for left in range(0, side, PATCH):
            rows, columns = (np.arange(start, min(start + PATCH, side)) for start in (top, left))
            x, y = np.meshgrid(columns + 0.5, rows + 0.5)
            xy = to_city @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
            eye = xy.mean(1) - ASIDE * np.array([1.0, 0.0])
            pixel = np.full(x.size, metre, np.float32)
            colour, _, _ = paint_ground(city, xy.astype(np.float32), pixel, eye)
            _dry(colour)
            beyond = beyond_streets(city, xy)
            if beyond.max() > VERGE - 1:
                paint_fields(colour, xy, pixel, beyond)
            picture[top : top + len(rows), left : left + len(columns)] = colour.T.reshape(*x.shape, 3)
    return picture


def _dry(colour: np.ndarray) -> None:
    """Turns what is green (3, P) into the grass of autumn."""
    green = np.clip((colour[1] - colour[[0, 2]].max(0)) * 12, 0, 1)
    blend(colour, DRY_GRASS[:, None] * colour[1] / 0.47, green)


def _fill(picture: np.ndarray, outline: np.ndarray, to_pixel: np.ndarray, colour: object) -> None:
    """Fills a convex outline (n, 2) in metres; the middle of a pixel is at .5."""
    points = outline @ to_pixel[:, :2].T + to_pixel[:, 2] - 0.5
    whole = np.round(points * 2**SHIFT).astype(np.int32)
    cv2.fillConvexPoly(picture, whole, colour, cv2.LINE_AA, SHIFT)


def _draw_cars(picture: np.ndarray, cars: Cars, chosen: np.ndarray, to_pixel: np.ndarray) -> None:
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    for car in chosen:
        axes = np.stack([cars.along[car], [-cars.along[car, 1], cars.along[car, 0]]])
        for half, shift, colour in (
            ((2.3, 1.05), 0.0, cars.colour[car] * 0.25),
            ((2.1, 0.88), 0.0, cars.colour[car]),
            ((1.25, 0.78), -0.4, np.array([0.12, 0.14, 0.17])),
            ((0.8, 0.72), -0.4, cars.colour[car] * 0.95),
        ):
            outline = cars.middle[car] + (corners * half + [shift, 0]) @ axes
            _fill(picture, outline, to_pixel, colour.tolist())


def _shadows(
    city: City, buildings: np.ndarray, trees: np.ndarray, weather: Weather, to_pixel: np.ndarray, side: int
) -> np.ndarray:
    """Returns how much sun reaches the ground, float32 (side, side)."""
    lit = np.ones((side, side), np.float32)
    away = -np.asarray(weather.sun_dir[:2], np.float64) / max(float(weather.sun_dir[2]), 0.2)
    for building in buildings:
        base = city.buildings["footprint"][building]
        height = float(city.buildings["height"][building] + city.buildings["roof_band"][building])
        outline = cv2.convexHull(np.concatenate([base, base + away * height]).astype(np.float32))[:, 0]
        _fill(lit, outline.astype(np.float64), to_pixel, 0.0)
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for tree in trees:
        radius, height = np.array(CROWN[int(city.props["kind"][tree])]) * float(city.props["size"][tree])
        _fill(lit, city.props["xy"][tree] + away * height + circle * radius * 0.9, to_pixel, 0.25)
    return lit


def _draw_trees(
    picture: np.ndarray, city: City, trees: np.ndarray, weather: Weather, to_pixel: np.ndarray, metre: float
) -> None:
    """Draws ragged crowns, of leafy trees in the colours of autumn."""
    side = len(picture)
    for tree in trees:
        kind, size = int(city.props["kind"][tree]), float(city.props["size"][tree])
        seed, radius = int(city.props["seed"][tree]), CROWN[kind][0] * size / metre
        column, row = to_pixel[:, :2] @ city.props["xy"][tree] + to_pixel[:, 2]
        reach = 1.4 * radius
        left, top = max(int(column - reach), 0), max(int(row - reach), 0)
        right, bottom = min(int(column + reach) + 2, side), min(int(row + reach) + 2, side)
        if left >= right or top >= bottom:
            continue
        x = (np.arange(left, right) + 0.5 - column)[None] / radius
        y = (np.arange(top, bottom) + 0.5 - row)[:, None] / radius
        u, v = x * 30 + seed % 251 + 500 + 0 * y, y * 30 + seed % 241 + 500 + 0 * x
        ragged = sample_noise(FINE, u * 2.5, v * 2.5) * 0.5 + sample_noise(SOFT, u, v) * 0.8 - 0.65
        cover = np.clip((1 - np.hypot(x, y) + 0.35 * ragged) * radius, 0, 1)[..., None]
        leaves = LEAVES["autumn"]
        own = city.props["colour"][tree] if kind == CONIFER else np.array(leaves[seed % len(leaves)], np.float32)
        shade = np.clip(0.8 - 0.25 * (x * -weather.sun_dir[0] + y * weather.sun_dir[1]) + 0.9 * ragged, 0.3, 1.3)
        light = weather.ambient + weather.sun * 0.6
        part = picture[top:bottom, left:right]
        part += (own * shade[..., None] * light - part) * cover


def _draw_roof(picture: np.ndarray, city: City, building: int, weather: Weather, to_pixel: np.ndarray) -> None:
    """Draws the two slopes of a gable whose ridge leads from the street to the back, or a flat roof.

    A flat roof has a parapet in the colour of the walls, or slopes around it where the street sees a band of roof.
    """
    looks, sun_dir = city.buildings, weather.sun_dir
    base, roof = looks["footprint"][building].astype(np.float64), looks["roof"][building]

    def lit(normal: np.ndarray, colour: np.ndarray = roof) -> list[float]:
        return (colour * (weather.ambient + weather.sun * max(float(normal @ sun_dir), 0))).tolist()

    gable = float(looks["gable"][building])
    if gable > 0:
        front, back = (base[0] + base[1]) / 2, (base[2] + base[3]) / 2
        across = (base[1] - base[0]) / 2
        halves = ((base[0], front, back, base[3]), -across), ((front, base[1], base[2], back), across)
        for outline, outwards in halves:
            normal = np.append(outwards * gable / (outwards @ outwards), 1.0)
            _fill(picture, np.array(outline), to_pixel, lit(normal / np.linalg.norm(normal)))
        return
    up = np.array([0.0, 0.0, 1.0])
    sloped = looks["roof_band"][building] > 0
    _fill(picture, base, to_pixel, lit(up, roof * 0.7 if sloped else looks["wall"][building]))
    inner = base.mean(0) + (base - base.mean(0)) * (0.72 if sloped else 0.88)
    _fill(picture, inner, to_pixel, lit(up))
    _fill(picture, base.mean(0) + (base - base.mean(0)) * 0.16, to_pixel, (np.array(lit(up)) * 1.25).tolist())
