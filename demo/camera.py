"""The camera of the demo city: a pinhole whose pitch shifts the horizon and whose roll turns the finished picture."""

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
    """The pixel grid. A point at depth t, s to the right and z above the ground lands on
    column side / 2 + focal * s / t and row horizon - focal * (z - camera height) / t (pixel edges at whole numbers).
    """

    side: int
    focal: float
    horizon: float

    @classmethod
    def of(cls, camera: Camera, side: int, wide: float = 1.0) -> "Lens":
        """A square grid of `side` pixels that sees `wide` times the tangent of the camera's field of view."""
        focal = side / 2 / (np.tan(np.deg2rad(camera.fov) / 2) * wide)
        return cls(side, float(focal), float(side / 2 + focal * np.tan(np.deg2rad(camera.pitch))))

    def slopes(self) -> np.ndarray:
        """Tangent of each column's ray to the viewing direction (side,)."""
        return ((np.arange(self.side) + 0.5 - self.side / 2) / self.focal).astype(np.float32)

    def drops(self) -> np.ndarray:
        """Tangent of each row's ray below the horizon (side,), negative above it."""
        return ((np.arange(self.side) + 0.5 - self.horizon) / self.focal).astype(np.float32)
