"""The cells of a run, built from its settings and stored in its checkpoints as text."""

import base64
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cells import WITH_POLYGONS
from cells.building import build_partition, read_cells
from cells.files import from_bytes, load_cells, to_bytes
from cells.partition import Partition
from cells.polygons import Polygons, read_polygons
from commons.options import with_options
from losses.geolocation.building import read_cell_losses
from losses.geolocation.geometry import CellGeometry
from losses.geolocation.offset import OffsetRegression

POLYGONS, COLUMNS = "municipalities.geojson", ("name", "region", "country")  # in the folder of a data set


def make_partition(
    chosen: Any, latitude: np.ndarray, longitude: np.ndarray, folder: str | Path | None = None
) -> Partition:
    """Builds the cells from the positions of training photos, or reads them from a file.

    Args:
        chosen: section `cells` of the settings of train.py.
        latitude, longitude: of training photos in degrees, (n,), NaN where unknown.
        folder: folder of the data set, whose POLYGONS are used if the settings contain none.
    """
    if chosen.cells_file is not None:
        partition, source = load_cells(chosen.cells_file), chosen.cells_file
    else:
        options, coarser = read_cells(chosen.cells, chosen.cell_options, chosen.coarser)
        polygons = _polygons(chosen, folder) if chosen.cells in WITH_POLYGONS else None
        partition = build_partition(chosen.cells, latitude, longitude, options, coarser, polygons)
        source = with_options(chosen.cells, options)
    counts = ", ".join(str(len(level)) for level in partition.levels)
    logging.info(f"Cells: {counts} ({source})")
    return partition


def _polygons(chosen: Any, folder: str | Path | None) -> Polygons | None:
    if chosen.polygons is not None:
        return read_polygons(chosen.polygons, chosen.polygon_name, chosen.polygon_region, chosen.polygon_country)
    file = folder and Path(folder, POLYGONS)
    if not file or not file.is_file():
        return None
    return read_polygons(
        file,
        *(
            given or name
            for given, name in zip(
                (chosen.polygon_name, chosen.polygon_region, chosen.polygon_country), COLUMNS, strict=True
            )
        ),
    )


def to_text(partition: Partition) -> str:
    """Returns a partition as text, for checkpoints."""
    return base64.b64encode(to_bytes(partition)).decode("ascii")


def from_text(text: str) -> Partition:
    """Builds a partition from the text of `to_text`."""
    return from_bytes(base64.b64decode(text))


def geometry_of(partition: Partition) -> CellGeometry:
    """Returns the geometry of the finest cells of a partition, for losses and answers."""
    finest = partition.finest
    return CellGeometry(*finest.point, finest.reach_km, partition.ancestors)


def offset_loss(geometry: CellGeometry, config: Mapping[str, Any]) -> OffsetRegression:
    """Returns the offset loss, which defines the meaning of offsets."""
    options = read_cell_losses(config["cell_loss"], config["cell_loss_options"])[1]
    return OffsetRegression(geometry, **options["offset"])
