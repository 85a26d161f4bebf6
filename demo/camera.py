"""The cameras of the demo city: a pinhole, whose pitch shifts the horizon and whose roll turns the finished picture,
and a panorama."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Where a picture is taken. Position in metres from city.ORIGIN, angles in degrees.

    heading runs clockwise from north, positive pitch looks up, positive roll turns the picture clockwise.
    """

    east: float
    north: float
    heading: float
    fov: float = 72.0
    height: float = 2.4
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def position(self) -> np.ndarray:
        return np.array([self.east, self.north])

    @property
    def forward(self) -> np.ndarray:
        """Unit vector (2,) of the viewing direction in the plane."""
        turn = np.deg2rad(self.heading)
        return np.array([np.sin(turn), np.cos(turn)])

    @property
    def right(self) -> np.ndarray:
        """Unit vector (2,) towards the right edge of the picture."""
        ahead = self.forward
        return np.array([ahead[1], -ahead[0]])


@dataclass(frozen=True)
class Lens:
    """The pixel grid of a pinhole. A point at depth t, s to the right and z above the ground lands on
    column columns / 2 + focal * s / t and row horizon - focal * (z - camera height) / t (pixel edges at whole numbers).

    Depths are metres along the viewing direction, rises are metres above the camera.
    """

    columns: int
    rows: int
    focal: float
    horizon: float

    @classmethod
    def of(cls, camera: Camera, columns: int, wide: float = 1.0, rows: int | None = None) -> "Lens":
        """A grid that sees `wide` times the tangent of the camera's field of view; square unless `rows` are given."""
        rows = rows or columns
        focal = columns / 2 / (np.tan(np.deg2rad(camera.fov) / 2) * wide)
        return cls(columns, rows, float(focal), float(rows / 2 + focal * np.tan(np.deg2rad(camera.pitch))))

    @property
    def tangent(self) -> float:
        """Tangent of the angle between the viewing direction and the edge of the picture."""
        return self.columns / 2 / self.focal

    def rays(self) -> np.ndarray:
        """Metres along the viewing direction and to the right per metre of depth, for each column (2, columns)."""
        slopes = ((np.arange(self.columns) + 0.5 - self.columns / 2) / self.focal).astype(np.float32)
        return np.stack([np.ones_like(slopes), slopes])

    def angles(self) -> np.ndarray:
        """Angle of each column's ray to the viewing direction in radians (columns,)."""
        return np.arctan(self.rays()[1])

    def drops(self) -> np.ndarray:
        """Metres down per metre of depth for each row (rows,), negative above the horizon."""
        return ((np.arange(self.rows) + 0.5 - self.horizon) / self.focal).astype(np.float32)

    def stretch(self) -> np.ndarray:
        """How many times as high as wide a pixel of each row is on a wall (rows,)."""
        return np.ones(self.rows, np.float32)

    def depth(self, ahead: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Depth of points in metres along the viewing direction and to the right."""
        return ahead

    def column(self, ahead: np.ndarray, side: np.ndarray) -> np.ndarray:
        return self.columns / 2 + self.focal * side / ahead

    def row(self, rise: np.ndarray | float, depth: np.ndarray) -> np.ndarray:
        return self.horizon - self.focal * rise / depth

    def rise(self, row: np.ndarray, depth: np.ndarray) -> np.ndarray:
        return (self.horizon - row) / self.focal * depth

    def depth_below(self, fall: float, row: np.ndarray, least: float) -> np.ndarray:
        """Depth at which rows see what lies `fall` metres below the camera; `least` rows below the horizon or more."""
        return fall * self.focal / np.maximum(row - self.horizon, least)

    def upright(self, depth: float, height: float, tall: float) -> tuple[float, float, np.ndarray]:
        """Rows of the head and foot of a thing `tall` metres high that faces the camera, whose own `height` is given,
        and at what height each row sees it (rows,)."""
        scale = self.focal / depth
        foot = self.horizon + scale * height
        return foot - tall * scale, foot, (foot - np.arange(self.rows) - 0.5) / scale

    def sees(self, ahead: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Whether things some metres wide may show, by their middles."""
        spread = self.tangent if self.tangent > 1.1 else 0.9
        return (ahead > 1.5) & (np.abs(side) < ahead * spread + 4)

    def span(self, ahead: np.ndarray, side: np.ndarray) -> tuple[float, float]:
        """First and last column of a thing with these corners; equal if it does not show."""
        columns = self.column(ahead, side) if ahead.min() >= 0.5 else np.zeros(1)
        return columns.min(), columns.max()


@dataclass(frozen=True)
class PanoramaLens(Lens):
    """A strip of an equirectangular picture: equal angles for each column and for each row. focal is pixels a radian.

    Depths are metres in the plane along each column's own ray.
    """

    @classmethod
    def strip(cls, columns: int, rows: int) -> "PanoramaLens":
        """A strip whose rows look from straight up to straight down."""
        return cls(columns, rows, rows / np.pi, rows / 2)

    @property
    def tangent(self) -> float:
        return float(np.tan(self.columns / 2 / self.focal))

    def rays(self) -> np.ndarray:
        angles = self.angles()
        return np.stack([np.cos(angles), np.sin(angles)])

    def angles(self) -> np.ndarray:
        return ((np.arange(self.columns) + 0.5 - self.columns / 2) / self.focal).astype(np.float32)

    def drops(self) -> np.ndarray:
        return np.tan((np.arange(self.rows) + 0.5 - self.horizon) / self.focal).astype(np.float32)

    def stretch(self) -> np.ndarray:
        return 1 + self.drops() ** 2

    def depth(self, ahead: np.ndarray, side: np.ndarray) -> np.ndarray:
        return np.hypot(ahead, side)

    def column(self, ahead: np.ndarray, side: np.ndarray) -> np.ndarray:
        return self.columns / 2 + self.focal * np.arctan2(side, ahead)

    def row(self, rise: np.ndarray | float, depth: np.ndarray) -> np.ndarray:
        return self.horizon - self.focal * np.arctan(rise / depth)

    def rise(self, row: np.ndarray, depth: np.ndarray) -> np.ndarray:
        return np.tan((self.horizon - row) / self.focal) * depth

    def depth_below(self, fall: float, row: np.ndarray, least: float) -> np.ndarray:
        return fall / np.tan(np.maximum(row - self.horizon, least) / self.focal)

    def upright(self, depth: float, height: float, tall: float) -> tuple[float, float, np.ndarray]:
        head, foot = (float(self.row(z - height, depth)) for z in (tall, 0))
        return head, foot, height - self.drops() * depth

    def sees(self, ahead: np.ndarray, side: np.ndarray) -> np.ndarray:
        return np.hypot(ahead, side) > 1.5

    def span(self, ahead: np.ndarray, side: np.ndarray) -> tuple[float, float]:
        columns = self.column(ahead, side)
        behind = np.ptp(columns) > np.pi * self.focal  # the thing lies across the direction opposite to the strip's
        return (0, 0) if behind else (columns.min(), columns.max())
