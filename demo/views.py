"""The pictures of the demo city: position and direction of each camera, and the weather."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from demo.camera import Camera
from demo.city import ORIGIN, City, street_clearance
from demo.sizes import DemoSize

CELL, ALPHA, N, L = 10, 30, 5, 2  # CosPlace's M, alpha, N and L, for which the training pictures form one group
FOLDERS = ("train", "val/database", "val/queries", "test/database", "test/queries")  # place = first part of the seed
HEADINGS = 4  # database pictures per position: along the street both ways, and across it

TRAIN_MIX = {"day": 0.5, "sunny": 0.1, "overcast": 0.1, "fog": 0.06, "rain": 0.08, "dusk": 0.08, "night": 0.08}
DATABASE_MIX = {"day": 1.0}
QUERY_MIX = {"sunny": 0.2, "overcast": 0.18, "fog": 0.12, "rain": 0.15, "dusk": 0.15, "night": 0.2}


@dataclass(frozen=True)
class View:
    """One picture to take; seed starts the generator for all that is drawn while taking it.

    Of a drive, frame is the number of the picture, and drive starts the generator for what all its pictures share:
    month and weather. kind is "" or one of demo.photos, size is columns and rows in pixels, None for the usual ones.
    """

    folder: str
    camera: Camera
    condition: str
    seed: tuple[int, ...]
    frame: int | None = None
    drive: tuple[int, ...] | None = None
    kind: str = ""
    size: tuple[int, int] | None = None

    @property
    def note(self) -> str:
        """What its file name says besides place, heading and time."""
        frame = "" if self.frame is None else f"{self.frame:04d}"
        return "_".join(filter(None, (self.condition, self.kind, frame)))

    @property
    def utm(self) -> tuple[float, float]:
        """East and north in metres, to the centimetre."""
        return round(float(ORIGIN[0]) + self.camera.east, 2), round(float(ORIGIN[1]) + self.camera.north, 2)


def plan_views(city: City, size: DemoSize, seed: int) -> list[View]:
    """All pictures of a demo, in a fixed order.

    Raises:
        ValueError: if the city's quarters are too small for what `size` asks for.
    """
    views = _train_views(city, size, seed)
    for split, quarter, positions, queries in (
        (1, "val", size.val_positions, size.val_queries),
        (3, "test", size.test_positions, size.test_queries),
    ):
        database = _database_views(city, seed, split, quarter, positions)
        views += database + _query_views(city, seed, split + 1, database, queries)
    return views


def group_cells(city: City, quarter: str = "train") -> np.ndarray:
    """Cells (C, 2) of the one group, out of N * N, with the most cells that hold enough roadway."""
    points = []
    streets = city.streets
    for s in np.flatnonzero(streets["quarter"] == quarter):
        span = streets["b"][s] - streets["a"][s]
        length = np.linalg.norm(span)
        left = np.array([-span[1], span[0]]) / length
        free = streets["road"][s] - 1
        t, off = np.meshgrid(np.arange(0, length, 0.5) / length, np.arange(-free, free, 0.5))
        points.append(streets["a"][s] + t.reshape(-1, 1) * span + off.reshape(-1, 1) * left)
    cells, counts = np.unique(np.floor((np.concatenate(points) + ORIGIN) / CELL), axis=0, return_counts=True)
    cells = cells[counts >= 100].astype(np.int64)  # 25 square metres at four points a square metre
    groups = (cells % N) @ (N, 1)
    return cells[groups == np.bincount(groups).argmax()]


def _train_views(city: City, size: DemoSize, seed: int) -> list[View]:
    """Pictures at random places and headings within the classes of one group."""
    classes = [(cell, turn) for cell in group_cells(city) for turn in range(0, 360 // ALPHA, L)]
    if len(classes) < size.classes:
        raise ValueError(f"the training quarter holds {len(classes)} classes of one group, not {size.classes}")
    order = np.random.default_rng([seed, 3]).permutation(len(classes))[: size.classes]
    views = []
    for index in range(size.classes * size.images_per_class):
        cell, turn = classes[order[index // size.images_per_class]]
        rng = np.random.default_rng([seed, 0, index])
        corner = cell * CELL - ORIGIN
        place = _draw_place(city, "road", lambda rng=rng, corner=corner: corner + rng.uniform(0.01, CELL - 0.02, 2))
        heading = int(turn * ALPHA + rng.integers(ALPHA))
        views.append(_view(seed, 0, index, place, heading, rng, TRAIN_MIX, fov=(70, 75), tilt=(3.5, 1.2)))
    return views


def _database_views(city: City, seed: int, split: int, quarter: str, positions: int) -> list[View]:
    """Daylight pictures every 10 to 12 metres along the streets of a quarter."""
    streets, views = city.streets, []
    for s in np.random.default_rng([seed, 3, split]).permutation(np.flatnonzero(streets["quarter"] == quarter)):
        span = streets["b"][s] - streets["a"][s]
        length = np.linalg.norm(span)
        left = np.array([-span[1], span[0]]) / length
        azimuth = np.rad2deg(np.arctan2(span[0], span[1]))
        at = 5.0
        while at < length - 5 and len(views) < positions * HEADINGS:
            rng = np.random.default_rng([seed, 3, split, len(views)])
            place = streets["a"][s] + span * at / length + left * rng.uniform(-1.5, 1.5)
            for k in range(HEADINGS):
                index = len(views)
                rng = np.random.default_rng([seed, split, index])
                heading = round(azimuth + 90 * k + rng.uniform(-5, 5)) % 360
                view = _view(seed, split, index, place, heading, rng, DATABASE_MIX, fov=(70, 75), tilt=(3.5, 0.7))
                views.append(view)
            at += rng.uniform(10, 12)
    if len(views) < positions * HEADINGS:
        raise ValueError(f"quarter {quarter} has room for {len(views) // HEADINGS} positions, not {positions}")
    return views


def _query_views(city: City, seed: int, split: int, database: list[View], queries: int) -> list[View]:
    """Pictures 2 to 12 metres off a database picture, turned by up to 20 degrees, in any weather."""
    chosen = np.random.default_rng([seed, 3, split]).permutation(len(database))[:queries]
    views = []
    for index, number in enumerate(chosen):
        rng = np.random.default_rng([seed, split, index])
        near = database[number].camera

        def draw(rng: np.random.Generator = rng, near: Camera = near) -> np.ndarray:
            turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(2.02, 11.98)  # holds after rounding to centimetres
            return near.position + far * np.array([np.cos(turn), np.sin(turn)])

        place = _draw_place(city, "half", draw)
        heading = int(near.heading + rng.integers(-20, 21)) % 360
        views.append(_view(seed, split, index, place, heading, rng, QUERY_MIX, fov=(60, 80), tilt=(4.0, 2.5)))
    return views


def _draw_place(city: City, edge: str, draw: Callable[[], np.ndarray], margin: float = 1.0) -> np.ndarray:
    """Calls draw() until it gives a place at least `margin` metres inside the street's edge."""
    for _ in range(10_000):
        place = np.round(draw(), 2)
        if street_clearance(city, place, edge) >= margin:
            return place
    raise ValueError("no free place on the street found")


def _view(
    seed: int,
    split: int,
    index: int,
    place: np.ndarray,
    heading: int,
    rng: np.random.Generator,
    mix: dict[str, float],
    fov: tuple[float, float],
    tilt: tuple[float, float],
) -> View:
    """Draws the rest of a view: lens, height, pitch around tilt[0] with spread tilt[1], roll, and weather."""
    camera = Camera(
        east=round(float(place[0]), 2),
        north=round(float(place[1]), 2),
        heading=float(heading),
        fov=rng.uniform(*fov),
        height=rng.uniform(1.6, 2.5) if "queries" in FOLDERS[split] else rng.uniform(2.3, 2.6),
        pitch=float(np.clip(rng.normal(*tilt), tilt[0] - 5, tilt[0] + 5)),
        roll=float(np.clip(rng.normal(0, tilt[1] / 2), -3, 3)),
    )
    return View(FOLDERS[split], camera, str(rng.choice(list(mix), p=list(mix.values()))), (seed, split, index, 1))
