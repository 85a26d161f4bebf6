"""Web Mercator (EPSG:3857) as tile maps use it, and the true size of its pixels on the WGS84 ellipsoid.

World coordinates go from 0 to 1: x to the east from the antimeridian, y to the south from 85.05 degrees north. A zoom
has 2^zoom x 2^zoom tiles.
"""

import numpy as np

from commons.errors import ArgumentError
from datasets.geodesy import WGS84_A, WGS84_F

MAX_LATITUDE = 85.0511287798066
ECCENTRICITY2 = WGS84_F * (2 - WGS84_F)


def to_world(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns world coordinates x, y of degrees."""
    phi = np.radians(latitude)
    return (np.asarray(longitude) + 180) / 360, 0.5 - np.arcsinh(np.tan(phi)) / (2 * np.pi)


def from_world(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude in degrees of world coordinates."""
    return np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * np.asarray(y))))), np.asarray(x) * 360 - 180


def world_per_metre(latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns by how much world coordinates x and y change per metre to the east and to the south.

    With N and M the ellipsoid's radii of curvature along and across the parallel:

        dx = 1 / (2 pi N cos phi),     dy = 1 / (2 pi M cos phi)

    On the ellipsoid they differ by up to 0.7 %, because Web Mercator treats latitudes as those of a sphere.
    """
    phi = np.radians(latitude)
    squash = 1 - ECCENTRICITY2 * np.sin(phi) ** 2
    across = WGS84_A / np.sqrt(squash)
    along = WGS84_A * (1 - ECCENTRICITY2) / squash**1.5
    return 1 / (2 * np.pi * across * np.cos(phi)), 1 / (2 * np.pi * along * np.cos(phi))


def check_latitudes(latitude: np.ndarray, longitude: np.ndarray) -> None:
    """Raises ArgumentError unless all points are known and in the square of the tile map."""
    wrong = ~((np.abs(latitude) < MAX_LATITUDE) & (np.abs(longitude) <= 360))
    if wrong.any():
        row = int(wrong.argmax())
        raise ArgumentError(
            "latitude",
            f"position {row + 1} ({latitude[row]:g}, {longitude[row]:g}) is outside of tile maps, which end at "
            f"{MAX_LATITUDE:.2f} degrees ({wrong.sum()} such positions of {len(wrong)})",
        )


def crop_matrices(
    latitude: np.ndarray, longitude: np.ndarray, bearing: np.ndarray, metres_per_pixel: np.ndarray, size: int
) -> np.ndarray:
    """Returns the affine maps from coordinates in square crops to world coordinates, float64 (b, 2, 3).

    Coordinates in a crop are pixels to the right and down from its top left corner; the middle of a pixel is at .5.
    The map is tangent at the middle of the crop. 300 m away from there it is wrong by less than 5 cm up to 70 degrees.

    Args:
        latitude, longitude: middle of each crop in degrees, (b,).
        bearing: the direction that is up in each crop, degrees clockwise from north, (b,).
        metres_per_pixel: metres per pixel on the ground, (b,).
        size: side of the crops in pixels.
    """
    per_east, per_south = world_per_metre(latitude)
    sine, cosine = np.sin(np.radians(bearing)), np.cos(np.radians(bearing))
    matrices = np.empty((len(latitude), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine * per_east, -sine * per_east
    matrices[:, 1, 0], matrices[:, 1, 1] = sine * per_south, cosine * per_south
    matrices[:, :, :2] *= metres_per_pixel[:, None, None]
    middle = np.stack(to_world(latitude, longitude), axis=1)
    matrices[:, :, 2] = middle - matrices[:, :, :2].sum(axis=2) * size / 2
    return matrices
