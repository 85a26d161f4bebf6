"""Two drives along one route through the test quarter of the demo city, one of them faster and at night."""

import numpy as np

from demo.camera import Camera
from demo.city import TURN, City
from demo.sizes import Drive
from demo.views import View

FOLDERS = ("test/database", "test/queries")
LANE = 1.8  # metres from the middle of the street
CORNER = 5.0  # metres before and after a point of the route between which the car cuts the corner
STEP = 0.25  # metres between the points of the route
FOV = (72.0, 68.0)  # the two cars have different cameras
HEIGHT = (2.4, 1.9)
OTHER = 5  # seeds of the other pictures begin with 0 to 4


def plan_drive(city: City, drive: Drive, seed: int) -> list[View]:
    """Returns the pictures of both drives, in the order in which they are taken.

    The names of the pictures hold the number of the frame, and those of a drive lie in a folder of their own.
    """
    route = driving_line(route_crossings(city, drive.plan.test))
    metres = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(route, axis=0), axis=1))])
    views = []
    for number, (folder, spacing, condition) in enumerate(zip(FOLDERS, drive.spacing, drive.conditions, strict=True)):
        shared = (seed, OTHER, number)
        stops = np.arange(spacing / 2, metres[-1], spacing)
        for frame, at in enumerate(stops):
            rng = np.random.default_rng([*shared, frame])
            point, ahead = (
                np.array([np.interp(at + shift, metres, route[:, axis]) for axis in (0, 1)]) for shift in (0, 1)
            )
            camera = _camera(point, ahead - point, FOV[number], HEIGHT[number], rng)
            views.append(View(f"{folder}/{condition}", camera, condition, (*shared, frame, 1), frame, shared))
    return views


def route_crossings(city: City, blocks: tuple[int, int]) -> np.ndarray:
    """Returns the crossings (c, 2) of the test quarter, column by column and to and fro, so that each is passed once.

    Args:
        city: the city.
        blocks: how many blocks (columns, rows) the quarter spans.
    """
    inside = city.streets["quarter"] == "test"
    crossings = np.unique(np.concatenate([city.streets["a"][inside], city.streets["b"][inside]]), axis=0)
    cos, sin = np.cos(TURN), np.sin(TURN)
    across, along = crossings @ [cos, sin], crossings @ [-sin, cos]
    columns = np.argsort(across).reshape(blocks[0] + 1, blocks[1] + 1)
    rows = [column[np.argsort(along[column])] for column in columns]
    return crossings[np.concatenate([row[:: 1 - 2 * (number % 2)] for number, row in enumerate(rows)])]


def driving_line(crossings: np.ndarray) -> np.ndarray:
    """Returns points (n, 2) along a route, in the right-hand lane and around its corners."""
    lengths = np.linalg.norm(np.diff(crossings, axis=0), axis=1)
    metres = np.concatenate([[0], np.cumsum(lengths)])
    at = np.arange(0, metres[-1], STEP)
    near = at + np.array([[-CORNER], [0], [CORNER]])
    middle = np.stack([np.interp(near, metres, column).mean(axis=0) for column in crossings.T], axis=1)
    ahead = np.gradient(middle, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    return middle + LANE * np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)


def _camera(point: np.ndarray, ahead: np.ndarray, fov: float, height: float, rng: np.random.Generator) -> Camera:
    """Returns a camera on the roof of a moving car."""
    azimuth = np.rad2deg(np.arctan2(ahead[0], ahead[1]))
    return Camera(
        east=round(float(point[0]), 2),
        north=round(float(point[1]), 2),
        heading=float(round(azimuth + rng.uniform(-1.5, 1.5)) % 360),
        fov=fov,
        height=height,
        pitch=float(np.clip(rng.normal(3.0, 0.6), 1, 5)),
        roll=float(np.clip(rng.normal(0, 0.6), -2, 2)),
    )
