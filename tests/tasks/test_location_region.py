from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commons.errors import PlacewiseError
from tasks.location_region import RegionSplit, split_region
from tests.cells.worlds import box, boxes


def rows(split: RegionSplit) -> list[set[tuple[float, float]]]:
    return [set(zip(*part, strict=True)) for part in split]


def table(path: Path, latitude: np.ndarray, longitude: np.ndarray) -> Path:
    pq.write_table(pa.table({"latitude": latitude, "longitude": longitude}), path)
    return path


def test_positions_of_polygons(tmp_path: Path):
    file = boxes(tmp_path / "a.geojson", [box(0, 0, 1, 1), box(5, 0, 6, 1)], name=["a", "b"])
    split = split_region(file, 300, 20, 30)
    assert [len(part.latitude) for part in split] == [300, 20, 30]
    assert len(set.union(*rows(split))) == 350
    inside = (split.train.longitude < 1) | (split.train.longitude > 5)
    assert inside.all() and 0 < (split.train.longitude < 1).mean() < 1
    # Other numbers of training positions leave the held-out ones alone; another seed changes all.
    again, other = split_region(file, 10, 20, 30), split_region(file, 300, 20, 30, seed=1)
    assert rows(again)[1:] == rows(split)[1:] and not rows(other)[2] & rows(split)[2]


def test_a_table_is_split_without_common_positions(tmp_path: Path):
    draw = np.random.default_rng(0)
    latitude, longitude = draw.uniform(-90, 90, 100).repeat(3), draw.uniform(-180, 180, 100).repeat(3)
    latitude[-3:] = np.nan
    file = table(tmp_path / "a.parquet", latitude, longitude)
    split = split_region(file, 1000, 50, 5)
    assert [len(part.latitude) for part in split] == [85, 9, 5]
    assert len(set.union(*rows(split))) == 99 and np.isfinite(split.train.latitude).all()
    assert len(split_region(file, 20, 50, 5).train.latitude) == 20


def test_tables_that_cannot_be_split(tmp_path: Path):
    few = table(tmp_path / "few.parquet", np.arange(29.0), np.arange(29.0))
    with pytest.raises(PlacewiseError, match="few.parquet: has 29 different positions, but at least 30 are needed"):
        split_region(few, 10, 1, 1)
    swapped = table(tmp_path / "swapped.parquet", np.full(40, 120.0), np.arange(40.0))
    with pytest.raises(PlacewiseError, match="swapped.parquet: row 1: latitude 120.* are they swapped"):
        split_region(swapped, 10, 1, 1)


def test_the_outline_that_is_shipped_holds_the_states():
    split = split_region(Path(__file__).parents[2] / "regions" / "usa.geojson", 3000, 10, 10)
    latitude, longitude = split.train
    alaska, hawaii = latitude > 51, latitude < 23
    # Alaska has 1.51 of 9.36 million square kilometres; Hawaii 0.017.
    assert alaska.mean() == pytest.approx(0.161, abs=0.02) and 0 < hawaii.mean() < 0.01
    assert longitude[~(alaska | hawaii)].min() > -125 and longitude[longitude < 0].max() < -66
