"""Divides the earth into cells, the classes of geolocation: python -m tools.build_cells PHOTOS --cells NAME"""

from pathlib import Path

import numpy as np

from cells.admin import AdminCells
from cells.base import Cells, Points
from cells.building import build_partition
from cells.files import save_cells, save_geojson
from cells.partition import Partition
from cells.polygons import Polygons, read_polygons
from commons.errors import PlacewiseError, run
from commons.files import check_writable, remove_abandoned
from commons.logging import setup_logging
from commons.options import with_options
from commons.sphere import check_degrees
from datasets.positions import read_positions
from flags.geolocation import CellKind
from flags.tools import BuildCellsSettings, parse_build_cells_settings
from metrics.geodesic import MEAN, MEDIAN, geodesic_metrics, oracle_distances, shares_within
from reports.cell_plots import DrawnCells, draw_cells

OUTPUTS = {"cells.parquet": save_cells, "cells.geojson": save_geojson}


def read_photos(source: str) -> Points:
    """Returns the positions of photos, NaN where unknown.

    Raises:
        PlacewiseError: if they cannot be read, are not points on earth, or none is known.
    """
    positions = read_positions(source)
    try:
        photos = Points(*check_degrees(*positions))
    except PlacewiseError as error:
        raise PlacewiseError(f"{source}: {error}") from error
    if not np.isfinite(photos.latitude).any():
        raise PlacewiseError(f"{source}: none of the {len(photos.latitude)} photos has a position")
    return photos


def read_areas(chosen: CellKind) -> Polygons | None:
    """Reads the polygons, if there are any."""
    if chosen.polygons is None:
        return None
    return read_polygons(chosen.polygons, chosen.polygon_name, chosen.polygon_region, chosen.polygon_country)


def level_lines(partition: Partition, oracles: list[np.ndarray], radii: list[float]) -> list[str]:
    """Returns a line per resolution: cells, photos per cell, and the figures of the oracle.

    Args:
        partition: the cells.
        oracles: distances of a perfect classifier at each resolution.
        radii: kilometres.
    """
    names = list(shares_within(np.zeros(0), radii))
    lines = ["photos per cell, and share of photos (%) within radii if the correct cell is always predicted:"]
    columns = ["cells", "least", "median", "most", "empty", *names, MEDIAN, MEAN, "in no cell"]
    rows = [columns]
    for level, distances in zip(partition.levels, oracles, strict=True):
        found, images = geodesic_metrics(distances, radii), level.images
        counts = [len(level), images.min(), f"{np.median(images):g}", images.max(), int((images == 0).sum())]
        figures = [f"{found[name]:.1f}" for name in (*names, MEDIAN, MEAN)]
        rows.append([*map(str, counts), *figures, str(int(found["unanswered"]))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    return lines + ["  ".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True)) for row in rows]


def outside_line(cells: Cells, photos: Points) -> str:
    """Returns a line about photos outside of all polygons; "" if there are none, or the cells are not areas."""
    if not isinstance(cells, AdminCells):
        return ""
    distance = cells.outside_km(*photos)
    outside = int((distance > 0).sum())
    if not outside:
        return ""
    return f"{outside} photos are outside of all polygons, up to {distance.max():.3g} km, and belong to the nearest one"


def main(settings: BuildCellsSettings | None = None) -> None:
    """Entry point."""
    chosen = settings or parse_build_cells_settings()
    setup_logging()
    folder, radii, kind = Path(chosen.output.output), chosen.output.radii, chosen.cells
    check_writable(folder, "output")
    photos = read_photos(chosen.photos.photos)
    tested = read_photos(chosen.photos.test_photos) if chosen.photos.test_photos else photos
    tested = tested.take(np.isfinite(tested.latitude))
    partition = build_partition(kind.cells, *photos, kind.cell_options, kind.coarser, read_areas(kind))
    cells = partition.assign(*tested)
    oracles = [
        oracle_distances(*tested, own, *level.point) for own, level in zip(cells.T, partition.levels, strict=True)
    ]
    title = f"{len(partition.finest)} cells: {with_options(kind.cells, kind.cell_options)}"
    lines = [title, *level_lines(partition, oracles, radii), outside_line(partition.finest, tested)]
    print("\n".join(line for line in lines if line))
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder, ".cells-*")
    for name, save in OUTPUTS.items():
        save(partition, folder / name)
    drawn = [
        DrawnCells(
            level.polygons(), level.images, *level.point,
            dict(zip(radii, shares_within(distances, radii).values(), strict=True)),
        )
        for level, distances in zip(partition.levels, oracles, strict=True)
    ]  # fmt: skip
    known = photos.take(np.isfinite(photos.latitude))
    draw_cells(drawn, *known, title, folder / "cells.png")
    print(f"Written to {folder}: {', '.join([*OUTPUTS, 'cells.png'])}")


if __name__ == "__main__":
    run(main)
