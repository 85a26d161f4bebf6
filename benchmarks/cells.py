"""Time to divide the earth into cells and to assign a million photos: python -m benchmarks.cells

The photos lie around 300 towns all over the earth. S2 is compared with code that calls s2cell once for each photo and
level, on a tenth of the photos. With a file of polygons, such as municipalities, photos uniform in its extent are
assigned to administrative cells. Prints medians of alternating runs.
"""

import argparse
import logging
from collections.abc import Callable

import numpy as np
import s2cell
import shapely

from benchmarks.common import alternate, machine, print_table, seconds
from cells.admin import AdminCells
from cells.base import Cells, Points
from cells.building import build_partition
from cells.polygons import read_polygons
from cells.s2 import S2Cells, s2, s2_ids
from commons.sphere import to_degrees

POINTS, PLAIN, RUNS = 1_000_000, 10, 3
RESOLUTIONS = (5000, 2000, 1000)  # max_images, as in ISN
KINDS = {
    "s2": {},
    "quadtree": {},
    "quadtree_median": {"max_images": 1000},
    "kmeans": {"cells": 1000},
    "grid": {"size_km": 50.0},
    "h3": {"level": 3},
}


def towns(count: int) -> Points:
    """Returns photos around 300 towns."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(300, 3))
    vectors = centres[draw.integers(0, 300, count)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Points(*to_degrees(vectors + draw.normal(scale=0.02, size=(count, 3))))


def plain_ids(photos: Points) -> list[int]:
    """Leaf ids, one photo at a time."""
    return [s2cell.lat_lon_to_cell_id(lat, lon) for lat, lon in zip(*(c.tolist() for c in photos), strict=True)]


def plain_partition(photos: Points, most: int, least: int = 50) -> list[int]:
    """PlaNet's recursion with sets of photos and s2cell's parents, one photo at a time."""
    found, todo = [], [(0, plain_ids(photos))]
    while todo:
        level, own = todo.pop()
        parts: dict[int, list[int]] = {}
        for leaf in own:
            parts.setdefault(s2cell.cell_id_to_parent_cell_id(leaf, level), []).append(leaf)
        for cell, part in parts.items():
            if len(part) > most and level < 30:
                todo.append((level + 1, part))
            elif len(part) >= least:
                found.append(cell)
    return sorted(found)


def plain_assign(photos: Points, cells: S2Cells) -> list[int]:
    """The cell of each photo, one photo and one level at a time."""
    rows = {int(number): row for row, number in enumerate(cells.ids)}
    levels = sorted(set(s2_ids.levels(cells.ids).tolist()))
    found = []
    for leaf in plain_ids(photos):
        parents = (s2cell.cell_id_to_parent_cell_id(leaf, level) for level in levels)
        found.append(next((rows[parent] for parent in parents if parent in rows), -1))
    return found


def s2_table(photos: Points, few: Points) -> None:
    """Prints the times of S2 cells and of the same work photo by photo."""
    scale, cells = len(photos.latitude) / len(few.latitude), s2(photos)
    assert s2(few).ids.tolist() == plain_partition(few, 1000)
    assert cells.assign(*few).tolist() == plain_assign(few, cells)
    rows: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("leaf ids", lambda: s2_ids.leaf_ids(*photos), lambda: plain_ids(few)),
        (
            "partition, three resolutions",
            lambda: [s2(photos, max_images=most) for most in RESOLUTIONS],
            lambda: [plain_partition(few, most) for most in RESOLUTIONS],
        ),
        ("assignment", lambda: cells.assign(*photos), lambda: plain_assign(few, cells)),
    ]
    print_table(
        ["S2", "s", "one by one, s", "ratio"],
        (
            [name, times["ours"], scale * times["plain"], scale * times["plain"] / times["ours"]]
            for name, ours, plain in rows
            for times in [alternate({"ours": ours, "plain": plain}, RUNS, warm_up=0)]
        ),
    )


def kinds_table(photos: Points) -> None:
    """Prints how long it takes to build each kind of cells and to assign all photos."""

    def rows():
        for name, options in KINDS.items():
            made: list[Cells] = []
            built = seconds(lambda name=name, options=options, made=made: made.append(
                build_partition(name, *photos, options).finest
            ))  # fmt: skip
            assigned = alternate({"": lambda made=made: made[0].assign(*photos)}, RUNS)[""]
            yield [name, str(len(made[0])), built, assigned]

    print_table(["kind", "cells", "build, s", "assign, s"], rows())


def polygons_table(file: str, count: int) -> None:
    """Prints how long it takes to assign photos within polygons, and photos in their extent."""
    areas = read_polygons(file)
    cells = AdminCells(areas.names, areas.shapes, areas.names, areas.regions, areas.countries)
    west, south, east, north = shapely.total_bounds(areas.shapes)
    draw = np.random.default_rng(0)
    around = Points(draw.uniform(south, north, count), draw.uniform(west, east, count))
    inside = np.flatnonzero(cells.outside_km(*around) == 0)
    within = around.take(np.resize(inside, count))
    share = 100 * len(inside) / count
    ways = {"all inside": within, f"{share:.0f} % inside": around}
    times = alternate({name: lambda own=own: cells.assign(*own) for name, own in ways.items()}, RUNS)
    print_table([f"photos in {len(cells)} areas", "assign, s"], ([name, time] for name, time in times.items()))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=POINTS, metavar="N", help="photos")
    parser.add_argument("--polygons", metavar="FILE", help="polygons for administrative cells")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    photos = towns(args.points)
    print(f"{machine()}\n\n{args.points:,} photos\n")
    s2_table(photos, photos.take(slice(args.points // PLAIN)))
    print()
    kinds_table(photos)
    if args.polygons:
        print()
        polygons_table(args.polygons, args.points)


if __name__ == "__main__":
    main()
