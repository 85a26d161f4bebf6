import json
from pathlib import Path

import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cells import files
from cells.building import build_partition
from commons.errors import PlacewiseError
from tests.cells.worlds import towns


def test_other_programs_can_read_both_files(tmp_path: Path):
    partition = build_partition("s2", *towns(2000), {"max_images": 100, "min_images": 10}, [400])
    files.save_cells(partition, tmp_path / "cells.parquet")
    files.save_geojson(partition, tmp_path / "cells.geojson")
    count = sum(len(level) for level in partition.levels)
    frame = geopandas.read_parquet(tmp_path / "cells.parquet")
    assert len(frame) == count and frame.crs.is_geographic and frame.is_valid.all()
    assert frame["s2_id"].dtype.kind == "u" and frame["area_km2"].min() > 0
    features = json.loads((tmp_path / "cells.geojson").read_text())["features"]
    assert len(features) == count
    drawn = geopandas.read_file(tmp_path / "cells.geojson")
    assert drawn.is_valid.all()
    assert drawn[drawn["resolution"] == 1]["name"].tolist() == partition.finest.names.tolist()
    assert features[-1]["properties"]["images"] == partition.finest.images[-1]


def test_files_that_hold_no_cells(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="no.parquet: cannot be read as cells"):
        files.load_cells(tmp_path / "no.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(PlacewiseError, match="text.parquet: cannot be read as cells"):
        files.load_cells(tmp_path / "text.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(PlacewiseError, match="other.parquet: contains no cells: no column resolution"):
        files.load_cells(tmp_path / "other.parquet")
    table = files.to_table(build_partition("kmeans", *towns(100), {"cells": 2}))
    table = table.set_column(table.column_names.index("kind"), "kind", pa.array(["newer", "newer"]))
    with pytest.raises(PlacewiseError, match="cells of an unknown kind, newer"):
        files.from_table(table)


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    partition = build_partition("kmeans", *towns(100), {"cells": 2})
    for name, save in (("cells.parquet", files.save_cells), ("cells.geojson", files.save_geojson)):
        (tmp_path / name).write_text("old")
        with monkeypatch.context() as patch:
            patch.setattr(files.shapely, "to_wkb", lambda _: 1 / 0)
            patch.setattr(files.shapely, "to_geojson", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                save(partition, tmp_path / name)
        assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
