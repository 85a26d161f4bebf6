"""Roads and fields of the demo country: the ground that demo.ground does not colour where a city has `land`."""

import numpy as np

from demo.facades import blend, frac, inside, keep
from demo.land import Land
from demo.weather import SOFT, sample_noise

WHITE, YELLOW, BLACK, RED = (
    np.float32(c)[:, None] for c in ((0.88, 0.88, 0.85), (0.86, 0.68, 0.18), (0.14, 0.14, 0.15), (0.72, 0.2, 0.16))
)


def paint_fields(colour: np.ndarray, land: Land, kerb: np.ndarray, xy: np.ndarray, pixel: np.ndarray) -> None:
    """Paints what lies beyond the verge, by kind: meadow, narrow rows, furrows, stony soil, strips, tufts.

    Args:
        colour: ground colours (3, P), changed in place.
        kerb: metres beyond the kerb (P,).
        xy: metres from the origin (2, P).
        pixel: metres that one pixel spans (P,).
    """
    cos, sin = np.float32(np.cos(land.turn)), np.float32(np.sin(land.turn))
    u, v = xy[0] * cos + xy[1] * sin, xy[1] * cos - xy[0] * sin
    crop, soil, grass = (c.astype(np.float32)[:, None] for c in (land.crop, land.soil, land.grass))
    if land.field == 0:
        dots = sample_noise(SOFT, u * 60, v * 60) * keep(pixel, 0.5)
        share = inside(dots - 0.72, 0.1)
        paint = grass + (np.float32([0.9, 0.86, 0.55])[:, None] - grass) * share
    elif land.field in (1, 2):
        period = np.float32((0.9, 3.2)[land.field - 1])
        rows = inside(period * (0.25 - np.abs(frac(v / period) - 0.5)), pixel)
        rows = 0.5 + (rows - 0.5) * keep(pixel, period)
        paint = soil + (crop - soil) * rows
    elif land.field == 3:
        stones = inside(sample_noise(SOFT, u * 22, v * 22) - 0.66, 0.06) * keep(pixel, 1.2)
        tufts = inside(sample_noise(SOFT, u * 9 + 91, v * 9) - 0.6, 0.1)
        paint = soil + (grass - soil) * tufts
        paint += (np.float32([0.72, 0.7, 0.66])[:, None] - paint) * stones
    elif land.field == 4:
        number = np.floor(v / 14) + np.floor(u / 60)
        paint = np.where(frac(number / 2) < 0.25, crop, np.where(frac(number / 4) < 0.5, soil, grass))
    else:
        bush = inside(sample_noise(SOFT, u * 14, v * 14) - 0.52, 0.05)
        paint = crop * 1.15 + (grass * 0.55 - crop * 1.15) * bush
    blend(colour, paint, inside(kerb - land.verge, pixel))


def paint_road(
    colour: np.ndarray, land: Land, place: tuple[np.ndarray, ...], road: np.ndarray, pixel: np.ndarray
) -> None:
    """Paints surface joints, kerb, edge lines and middle line.

    Args:
        colour: ground colours (3, P), changed in place.
        place: metres beyond the kerb, to the left of the road's middle, and along it (P,) each.
        road: half width of the roadway (P,).
        pixel: metres that one pixel spans (P,).
    """
    kerb, lateral, t = place
    on_road = inside(-kerb, pixel)
    if land.surface == 1:
        across = inside(0.06 - 4 * np.abs(frac(t / 4) - 0.5), pixel) * keep(pixel, 4.0)
        along = inside(0.05 - np.abs(np.abs(lateral) - road * 0.5), pixel)
        blend(colour, colour * 0.55, np.maximum(across, along) * on_road)
    elif land.surface == 2:
        bend = 0.14 * np.sin(t * 1.3) + 0.08 * np.sin(t * 3.1)  # sealed cracks
        along = inside(0.045 - np.abs(np.abs(lateral) - road * 0.45 - bend), pixel)
        across = inside(0.05 - 6 * np.abs(frac((t + 0.3 * np.sin(lateral * 2.4)) / 6) - 0.5), pixel)
        blend(colour, BLACK, np.maximum(along, across * keep(pixel, 6.0)) * on_road * 0.8)
    _paint_kerb(colour, land, kerb, t, pixel)
    off = np.abs(lateral)
    edge = inside(0.09 - np.abs(off - road + 0.45), pixel)
    if land.edge == 2:
        edge = edge * (frac(t / 3) < 0.5)
    elif land.edge == 3:
        edge = np.maximum(edge, inside(0.07 - np.abs(off - road + 0.8), pixel))
    blend(colour, WHITE, edge * on_road * (land.edge > 0))
    line = _middle_line(land.marking, lateral, t, pixel)
    blend(colour, YELLOW if land.marking in (1, 3) else WHITE, line * on_road)


def _middle_line(kind: int, lateral: np.ndarray, t: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Paint (P,) by kind: long dashes, short dashes, one line, two lines, a line beside dashes."""
    single, left, right = (inside(0.09 - np.abs(lateral - at), pixel) for at in (0.0, 0.17, -0.17))
    long, short = frac(t / 12) < 0.5, frac(t / 4) < 0.4
    return (single * long, single * short, single, np.maximum(left, right), np.maximum(left, right * short))[kind]


def _paint_kerb(colour: np.ndarray, land: Land, kerb: np.ndarray, t: np.ndarray, pixel: np.ndarray) -> None:
    """Paints the kerb by kind: bare, black and white, red and white, yellow, none."""
    if land.kerb == 0:
        return
    band = inside(0.2 - np.abs(kerb - 0.15), pixel)
    striped = (frac(t / 2) < 0.5) * np.float32(1)
    striped = 0.5 + (striped - 0.5) * keep(pixel, 2.0)
    grass = land.grass.astype(np.float32)[:, None]
    paint = {1: BLACK + (WHITE - BLACK) * striped, 2: RED + (WHITE - RED) * striped, 3: YELLOW, 4: grass}[land.kerb]
    blend(colour, paint, band)
