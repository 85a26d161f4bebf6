from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commons.errors import PlacewiseError
from datasets.positions import read_positions


def test_tables(tmp_path: Path):
    csv = tmp_path / "a.csv"
    csv.write_text('﻿id,Latitude,"LNG"\n1,55.5,12.25\n2,,nan\n3,-3,179\n', encoding="utf-8")
    for source in (csv, tmp_path / "a.parquet"):
        if source.suffix == ".parquet":
            pq.write_table(
                pa.table({"lat": [55.5, None, -3], "LON": [12.25, float("inf"), 179], "x": ["a"] * 3}), source
            )
        np.testing.assert_array_equal(read_positions(source), [[55.5, np.nan, -3], [12.25, np.nan, 179]])


def test_folders_of_images(city: Path):
    latitude, longitude = read_positions(city / "train")
    assert len(latitude) == len(longitude) == 32 and np.ptp(latitude) < 0.01


def test_mistakes(tmp_path: Path):
    for text, words in (
        ("lat,x\n1,2\n", "a.csv: has no column longitude, only lat"),
        ("a,b\n1,2\n", "has no column latitude, only a, b"),
        ("lat,lon\n1,north\n", "lon holds something that is no number"),
        ("", "cannot be read as a table"),
    ):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(PlacewiseError, match=words):
            read_positions(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(PlacewiseError, match="a.parquet: cannot be read as a table"):
        read_positions(tmp_path / "a.parquet")
