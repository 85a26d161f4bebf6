"""What lies beyond the last streets of the demo city, seen from above in autumn: fields with hedges between them."""

import cv2
import numpy as np

from demo.city import City
from demo.facades import blend, frac, hashed, inside, keep
from demo.styles import palette
from demo.weather import FINE, SOFT, sample_noise

VERGE = 10.0  # metres beyond the line around all crossings at which fields begin: their pavements are as wide
STRIP, NARROW, WIDE = 74.0, 45.0, 110.0  # metres across a strip of fields, and along it from hedge to hedge
TURN = np.deg2rad(-31.0)
HEDGE = np.float32([0.24, 0.29, 0.14])[:, None]
CROPS = np.float32(palette("7d6248", "93774f", "b9a165", "a8995a", "6f8247", "8a8f52", "66543f", "7b8a55")).T


def beyond_streets(city: City, xy: np.ndarray) -> np.ndarray:
    """Returns how many metres places (2, P) lie outside of the line around all crossings, negative within (P,)."""
    ends = np.concatenate([city.streets["a"], city.streets["b"]]).astype(np.float32)
    hull = cv2.convexHull(ends)[:, 0].astype(np.float64)
    edges = np.roll(hull, -1, axis=0) - hull
    outwards = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
    if ((hull.mean(0) - hull[0]) @ outwards[0]) > 0:  # the hull goes clockwise
        outwards = -outwards
    return np.max(outwards @ xy - (outwards * hull).sum(1)[:, None], axis=0)


def paint_fields(colour: np.ndarray, xy: np.ndarray, pixel: np.ndarray, beyond: np.ndarray) -> None:
    """Paints fields over the ground beyond the streets.

    Args:
        colour: colour of the ground (3, P), changed in place.
        xy: metres from the city's origin (2, P).
        pixel: metres that one pixel spans (P,).
        beyond: returned by `beyond_streets`, (P,).
    """
    cos, sin = np.cos(TURN), np.sin(TURN)
    u, v = xy[0] * cos + xy[1] * sin, xy[1] * cos - xy[0] * sin
    strip = np.floor(v / STRIP)
    length = NARROW + (WIDE - NARROW) * hashed(strip, 7)
    number = np.floor(u / length)
    draw = hashed(number, strip, 3)
    crop = CROPS[:, (draw * CROPS.shape[1]).astype(np.int32)]
    across = np.where(frac(draw * 37) < 0.5, u, v)
    period = 0.8 + 2.4 * frac(draw * 91)
    rows = (np.abs(frac(across / period) - 0.5) * 4 - 1) * keep(pixel, period)
    coarse, fine = sample_noise(SOFT, u * 1.7, v * 1.7) - 0.5, sample_noise(FINE, u * 5, v * 5) - 0.5
    field = crop * (1 + 0.1 * rows + 0.35 * coarse + 0.12 * fine)
    border = np.minimum(np.abs(frac(u / length + 0.5) - 0.5) * length, np.abs(frac(v / STRIP + 0.5) - 0.5) * STRIP)
    bushes = inside(1.1 + 2.4 * (sample_noise(SOFT, u * 9, v * 9) - 0.4) - border, 0.5)
    blend(field, HEDGE * (0.8 + 0.9 * sample_noise(FINE, u * 7, v * 7)), bushes)
    blend(colour, field, inside(beyond - VERGE, pixel))
