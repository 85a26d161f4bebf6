import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cells.files import load_cells
from commons.errors import PlacewiseError
from tests.cells.worlds import box, boxes, towns
from tools.build_cells import main


def build(monkeypatch: pytest.MonkeyPatch, *flags: object) -> None:
    monkeypatch.setattr(sys, "argv", ["build_cells", *map(str, flags)])
    main()


def table(path: Path, latitude: np.ndarray, longitude: np.ndarray) -> Path:
    pq.write_table(pa.table({"latitude": latitude, "longitude": longitude}), path)
    return path


def test_s2_cells_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    photos = table(tmp_path / "photos.parquet", *towns(3000))
    output = tmp_path / "cells"
    options = "max_images=100,min_images=10"
    build(monkeypatch, photos, "--cell_options", options, "--coarser", "400", "--radii", "50,1000", "--output", output)
    lines = capsys.readouterr().out.splitlines()
    partition = load_cells(output / "cells.parquet")
    assert f"{len(partition.finest)} cells: s2 (max_images=100, min_images=10, min_level=0, max_level=30)" in lines
    header, *rows = [line.split("  ") for line in lines if "within 50 km" in line or line.strip()[:1].isdigit()][-3:]
    assert [part.strip() for part in header if part.strip()] == [
        "cells", "least", "median", "most", "empty", "within 50 km", "within 1000 km", "median km", "mean km",
        "in no cell",
    ]  # fmt: skip
    figures = [float(part) for part in " ".join(rows[-1]).split()]
    images = partition.finest.images
    assert figures[:5] == [len(images), images.min(), np.median(images), images.max(), 0]
    assert figures[-1] == 3000 - images.sum() and 0 < figures[5] < figures[6] <= 100
    assert len(json.loads((output / "cells.geojson").read_text())["features"]) == sum(map(len, partition.levels))
    with Image.open(output / "cells.png") as image:
        colours = len(set(image.convert("RGB").resize((400, 200)).getdata()))
    assert image.size == (1760, 880) and colours > 100


def test_areas_and_other_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Two areas with a town each; of three test photos, one lies 0.1 degrees outside and one has no position."""
    areas = boxes(tmp_path / "areas.geojson", [box(0, 0, 1, 1), box(1, 0, 2, 1)], navn=["a", "b"])
    photos = table(tmp_path / "train.parquet", np.full(20, 0.5), np.repeat([0.5, 1.5], 10))
    tested = table(tmp_path / "test.parquet", np.array([0.5, 0.5, np.nan]), np.array([0.5, 2.1, 3.0]))
    output = tmp_path / "cells"
    build(monkeypatch, photos, "--cells", "admin", "--polygons", areas, "--test_photos", tested, "--output", output)
    printed = capsys.readouterr().out
    assert "1 photos are outside of all polygons, up to 11.1 km, and belong to the nearest one" in printed
    assert load_cells(output / "cells.parquet").finest.names.tolist() == ["a", "b"]
    figures = printed.splitlines()[3].split()
    assert figures[:5] == ["2", "10", "10", "10", "0"] and figures[5:7] == ["50.0", "50.0"]  # 0 and 66.7 km


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    swapped = table(tmp_path / "swapped.parquet", np.array([122.5, 100]), np.array([37.0, 20]))
    with pytest.raises(PlacewiseError, match="swapped.parquet: row 1: latitude 122.5, longitude 37 .*are they swapped"):
        build(monkeypatch, swapped, "--output", tmp_path / "cells")
    unknown = table(tmp_path / "unknown.parquet", np.full(2, np.nan), np.zeros(2))
    with pytest.raises(PlacewiseError, match="none of the 2 photos has a position"):
        build(monkeypatch, unknown, "--output", tmp_path / "cells")
    few = table(tmp_path / "few.parquet", np.array([1.0, 2]), np.array([1.0, 2]))
    with pytest.raises(PlacewiseError, match="cells=1000: the photos have only 2 different positions; lower it"):
        build(monkeypatch, few, "--cells", "kmeans", "--output", tmp_path / "cells")
    assert not (tmp_path / "cells").exists()
