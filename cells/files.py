"""Partitions as GeoParquet, to be read again, and as GeoJSON, for maps."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from cells import KINDS
from cells.base import Cells, Points
from cells.partition import Partition
from cells.polygons import areas_km2
from cells.union import UnionCells
from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path

COMMON = (
    "resolution", "cell", "kind", "name", "parent", "images", "latitude", "longitude",
    "centre_latitude", "centre_longitude", "reach_east_km", "reach_north_km",
)  # fmt: skip
GEO = {
    "version": "1.0.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": []}},
}
DECIMALS = 6  # of degrees in GeoJSON: a decimetre


def to_table(partition: Partition) -> pa.Table:
    """Returns a table with a row for each cell, coarse to fine.

    Columns: `resolution` (0 is the coarsest), `cell`, `kind`, `name`, `parent` (a cell of the resolution before, -1 for
    none), `images`, class point and centre in degrees, reach, area, what its kind needs, and its outline as WKB.
    """
    made = [_level_table(number, level) for number, level in enumerate(partition.levels)]
    table = pa.concat_tables(made, promote_options="default")
    return table.replace_schema_metadata({"geo": json.dumps(GEO)})


def _level_table(number: int, level: Cells) -> pa.Table:
    size, shapes = len(level), level.polygons()
    columns = {
        "resolution": np.full(size, number, np.int32),
        "cell": np.arange(size, dtype=np.int32),
        "kind": pa.array([level.kind] * size),
        "name": pa.array(level.names, pa.string()),
        "parent": level.parent,
        "images": level.images,
        "latitude": level.point.latitude,
        "longitude": level.point.longitude,
        "centre_latitude": level.centre.latitude,
        "centre_longitude": level.centre.longitude,
        "reach_east_km": level.reach_km[:, 0],
        "reach_north_km": level.reach_km[:, 1],
        "area_km2": areas_km2(shapes),
    }
    return pa.table(columns | level.keys() | {"geometry": pa.array(shapely.to_wkb(shapes), pa.binary())})


def from_table(table: pa.Table) -> Partition:
    """Builds the partition that `to_table` has written.

    Raises:
        PlacewiseError: if the table holds no cells.
    """
    missing = [name for name in COMMON if name not in table.column_names]
    if missing or not table.num_rows:
        raise PlacewiseError(f"contains no cells: {f'no column {missing[0]}' if missing else 'no row'}")
    numbers = table["resolution"].to_numpy()
    levels: list[Cells] = []
    for number in range(int(numbers.max()), -1, -1):
        rows = table.filter(pc.equal(table["resolution"], number)).combine_chunks()
        levels.insert(0, _level(rows, levels))
    return Partition(tuple(levels))


def _level(rows: pa.Table, finer: list[Cells]) -> Cells:
    """Builds the cells of a resolution; unions need the finer ones."""
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    kind, names = columns["kind"][0].as_py(), columns["name"].to_numpy(zero_copy_only=False)
    if kind not in KINDS:
        raise PlacewiseError(f"contains cells of an unknown kind, {kind}, written by a newer version of Placewise")
    centre = Points(columns["centre_latitude"].to_numpy(), columns["centre_longitude"].to_numpy())
    if kind == UnionCells.kind:
        made: Cells = UnionCells(names, finer[0], finer[0].parent)
    else:
        made = KINDS[kind].from_keys(names, centre, columns)
    made.parent = columns["parent"].to_numpy().astype(np.int32)
    made.images = columns["images"].to_numpy()
    made.point = Points(columns["latitude"].to_numpy(), columns["longitude"].to_numpy())
    made.reach_km = np.stack([columns["reach_east_km"].to_numpy(), columns["reach_north_km"].to_numpy()], axis=1)
    return made


def save_cells(partition: Partition, path: str | Path) -> None:
    """Writes a partition as GeoParquet, atomically."""
    with atomic_path(path) as temporary:
        pq.write_table(to_table(partition), temporary)


def load_cells(path: str | Path) -> Partition:
    """Reads a partition.

    Raises:
        PlacewiseError: if the file is missing or holds no cells.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise PlacewiseError(f"{path}: cannot be read as cells ({first_line(error)})") from error
    try:
        return from_table(table)
    except PlacewiseError as error:
        raise PlacewiseError(f"{path}: {error}") from error


def to_bytes(partition: Partition) -> bytes:
    """Returns a partition as bytes, for checkpoints."""
    sink = pa.BufferOutputStream()
    pq.write_table(to_table(partition), sink)
    return sink.getvalue().to_pybytes()


def from_bytes(data: bytes) -> Partition:
    """Builds the partition that `to_bytes` has written."""
    return from_table(pq.read_table(pa.BufferReader(data)))


def save_geojson(partition: Partition, path: str | Path) -> None:
    """Writes the outlines of all cells as GeoJSON (RFC 7946), atomically, with name, resolution, parent and images."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = ""
        for number, level in enumerate(partition.levels):
            shapes = level.polygons()
            rounded = shapely.set_precision(shapes, 10.0**-DECIMALS)  # keeps polygons valid
            shapes = shapely.orient_polygons(np.where(shapely.is_empty(rounded), shapes, rounded))
            for cell, shape in enumerate(shapely.to_geojson(shapes)):
                facts = {
                    "resolution": number,
                    "cell": cell,
                    "name": level.names[cell],
                    "parent": int(level.parent[cell]),
                    "images": int(level.images[cell]),
                    "latitude": round(float(level.point.latitude[cell]), DECIMALS),
                    "longitude": round(float(level.point.longitude[cell]), DECIMALS),
                }
                feature = (
                    f'{{"type": "Feature", "properties": {json.dumps(facts, ensure_ascii=False)}, "geometry": {shape}}}'
                )
                file.write(f"{separator}\n{feature}")
                separator = ","
        file.write("\n]}\n")
