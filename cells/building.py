"""From the name of a kind of cells to a partition."""

import logging
from collections.abc import Sequence

import numpy as np

from cells import CELLS, SIZE_OPTION, WITH_POLYGONS
from cells.admin import AdminCells
from cells.base import Cells, Points
from cells.partition import Partition, nested
from cells.polygons import Polygons
from cells.union import union_by
from commons.errors import ArgumentError
from commons.options import Options, check_name, help_text, read_options
from commons.sphere import check_degrees

TREES = ("s2", "quadtree", "quadtree_median")  # whose finer cells lie within the coarser ones


def read_cells(name: str, options: dict[str, str], coarser: Sequence[str] = ()) -> tuple[Options, list[int | float]]:
    """Checks a kind of cells and its options, given as text, and fills in the defaults.

    Args:
        name: name in CELLS.
        options: as text.
        coarser: values of the option SIZE_OPTION[name] for further resolutions.

    Raises:
        ArgumentError: if the name or an option is unknown, or a value is wrong.
    """
    check_name("cells", name, CELLS)
    found = read_options("cell", name, CELLS[name], options)
    if not coarser:
        return found, []
    if name not in SIZE_OPTION:
        raise ArgumentError(
            "coarser", f"the resolutions of {name} come from `polygon_region` and `polygon_country`; leave it out"
        )
    option = SIZE_OPTION[name]
    values = [read_options("cell", name, CELLS[name], {option: value})[option] for value in coarser]
    down = name in ("h3", "kmeans")  # where a smaller number means larger cells
    order = sorted({*values, found[option]}, reverse=not down)
    if len(order) <= len(values) or order[-1] != found[option]:
        raise ArgumentError(
            "coarser", f"{','.join(coarser)}: give different values of {option}, all {'below' if down else 'above'} "
            f"{found[option]:g}, that of the finest resolution",
        )  # fmt: skip
    return found, order[:-1]


def build_partition(
    name: str,
    latitude: np.ndarray,
    longitude: np.ndarray,
    options: Options | None = None,
    coarser: Sequence[int | float] = (),
    polygons: Polygons | None = None,
) -> Partition:
    """Builds cells from the positions of training photos.

    Args:
        name: name in CELLS.
        latitude, longitude: of training photos in degrees, (n,); photos with NaN are left out and counted in a warning.
        options: options of the kind that differ from its defaults.
        coarser: values of the option SIZE_OPTION[name] for further resolutions, coarse to fine.
        polygons: for the kinds in WITH_POLYGONS, whose regions and countries become further resolutions.

    Returns:
        The partition, with class points of the photos.

    Raises:
        ArgumentError: if an option is wrong for these photos, such as more cells than positions.
        PlacewiseError: if no photo has a position, degrees are no point on earth, or resolutions are not nested.
    """
    check_name("cells", name, CELLS)
    photos = _known(latitude, longitude)
    options = dict(options or {})
    if name in WITH_POLYGONS:
        if polygons is None:
            raise ArgumentError(
                "polygons", f"`cells` {name} needs a file of polygons, such as municipalities in GeoJSON"
            )
        return _above_areas(CELLS[name](photos, polygons, **options)).with_photos(photos)
    sizes = [options | {SIZE_OPTION[name]: size} for size in coarser]
    levels = [CELLS[name](photos, **size) for size in [*sizes, options]]
    partition = nested(levels) if name in TREES else Partition(tuple(_as_unions(levels)))
    partition = partition.with_photos(photos)
    lost = len(photos.latitude) - int(partition.finest.images.sum())
    if lost:
        logging.info(f"{lost} of {len(photos.latitude)} photos are in cells with too few photos and are left out")
    return partition


def _known(latitude: np.ndarray, longitude: np.ndarray) -> Points:
    """Returns the photos that have a position."""
    points = Points(*check_degrees(latitude, longitude))
    known = np.isfinite(points.latitude)
    if not known.any():
        raise ArgumentError("cells", f"none of the {len(known)} photos has a position")
    if not known.all():
        logging.warning(f"{len(known) - known.sum()} of {len(known)} photos have no position and are left out")
        points = points.take(known)
    return points


def _as_unions(levels: list[Cells]) -> list[Cells]:
    """Replaces coarser cells by the unions of the finer cells whose centres they hold, so that they are nested."""
    made = [levels[-1]]
    for coarse in reversed(levels[:-1]):
        made.insert(0, union_by(made[0], *made[0].groups_in(coarse)))
    return _numbered(made)


def _above_areas(cells: AdminCells) -> Partition:
    """Adds whole areas, regions and countries as coarser resolutions, where the file has them and they differ."""
    columns = np.stack([cells.countries, cells.regions, cells.areas], axis=1).astype(str)
    made: list[Cells] = [cells]
    rows = np.arange(len(cells))  # of the finest cells, in the coarsest level so far
    for width in (3, 2, 1):
        used, groups = np.unique(columns[:, :width], axis=0, return_inverse=True)
        if not (used[:, -1] != "").any() or not 1 < len(used) < len(made[0]):
            continue
        own = np.zeros(len(made[0]), int)
        own[rows] = groups.ravel()
        made.insert(0, union_by(made[0], own, used[:, -1].astype(object)))
        rows = groups.ravel()
    return Partition(tuple(_numbered(made)))


def _numbered(levels: list[Cells]) -> list[Cells]:
    """Returns unions, and what they are made of, with the parents of cells."""
    return [levels[0], *(fine.with_parents(union.groups) for union, fine in zip(levels, levels[1:], strict=False))]


def cells_help(name: str) -> str:
    """Returns the help of a kind of cells."""
    return help_text("cells", name, CELLS).replace("`cells_options`", "`cell_options`")
