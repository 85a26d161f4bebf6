"""Processor time to cut regions into cells of 30 m and to find the cells of points: python -m benchmarks.region

A disc of the size of Massachusetts, and a star of 2000 random corners.
"""

import time

import numpy as np
import shapely
from shapely import affinity

from benchmarks.common import machine, print_table
from cells.region import RADIUS, cut_region

LATITUDE, LONGITUDE = 42.36, -71.06
DISC_METRES, STAR_METRES, CORNERS = 86_000, 60_000, 2000


def at_position(shape: shapely.Polygon) -> shapely.Polygon:
    """Returns a shape in metres around the position in degrees."""
    up = np.degrees(1 / RADIUS)
    scaled = affinity.scale(shape, up / np.cos(np.radians(LATITUDE)), up, origin=(0, 0))
    return affinity.translate(scaled, LONGITUDE, LATITUDE)


def star() -> shapely.Polygon:
    draw = np.random.default_rng(10)
    angle = np.sort(draw.uniform(0, 2 * np.pi, CORNERS))
    length = STAR_METRES * draw.uniform(0.3, 1, CORNERS)
    return shapely.Polygon(np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1))


def row(name: str, region: shapely.Polygon) -> list[object]:
    """Returns a row of the table."""
    times = [time.process_time()]
    cells = cut_region(region)
    times.append(time.process_time())
    middles = cells.centres()
    times.append(time.process_time())
    cells.assign(*middles)
    times.append(time.process_time())
    return [name, f"{len(cells):,}", f"{len(cells.rows):,}", *np.diff(times).tolist()]


def main() -> None:
    print(machine())
    shapes = {"disc": shapely.Point(0, 0).buffer(DISC_METRES, quad_segs=500), "star": star()}
    header = ("region", "cells", "runs", "cut s", "all middles s", "cells of all middles s")
    print_table(header, (row(name, at_position(shape)) for name, shape in shapes.items()))


if __name__ == "__main__":
    main()
