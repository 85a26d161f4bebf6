"""What goes wrong with cells and features: killed programs, photos outside, unreadable photos."""

import json
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from cells.building import build_partition
from cells.files import load_cells, save_cells
from commons.checkpoints import load_checkpoint
from tests.cells.worlds import towns
from tests.helpers import call, in_processes
from tests.test_geolocation import CELLS, SMALL, TOWNS, country, write_country  # noqa: F401

pytestmark = pytest.mark.slow
EPOCH = ["--augmentations", "none", "--epochs_num", 1, "--iterations_per_epoch", 12]


def table_of(path: Path, latitude: np.ndarray, longitude: np.ndarray) -> Path:
    pq.write_table(pa.table({"latitude": latitude, "longitude": longitude}), path)
    return path


def run_of(country: Path, folder: Path, *flags: object, code: int = 0, preload: str = "tests.own_cache") -> str:  # noqa: F811
    given = ["--method", "cells", "--dataset_folder", country, "--output_folder", folder, *flags, *SMALL]
    returned, output = call("train.py", *given, *EPOCH, preload=preload)
    assert returned == code, output
    return output


def test_a_killed_build_of_cells_leaves_nothing_broken(tmp_path: Path):
    photos, folder = table_of(tmp_path / "photos.parquet", *towns(300)), tmp_path / "cells"
    flags = [photos, "--cell_options", "max_images=50,min_images=5", "--output", folder]
    for written in ([], ["cells.parquet"]):  # killed in cells.parquet, then in cells.geojson
        code, output = call("tools.build_cells", *flags, preload="tests.killing")
        assert code == -signal.SIGKILL, output
        assert sorted(path.name for path in folder.glob("cells.*")) == written
    code, output = call("tools.build_cells", *flags)
    assert code == 0, output
    cells = load_cells(folder / "cells.parquet").finest
    assert len(json.loads((folder / "cells.geojson").read_text())["features"]) == len(cells) > 1


def test_a_killed_extraction_of_features_leaves_nothing_broken(country: Path, tmp_path: Path):  # noqa: F811
    cached = [*CELLS, "--cache_features", "disk"]
    run_of(country, tmp_path / "killed", *cached, code=-signal.SIGKILL, preload="tests.killing")
    assert not list((tmp_path / "cache").glob("features*")) and list((tmp_path / "cache").glob(".features*"))
    run_of(country, tmp_path / "second", *cached)
    (file,) = (tmp_path / "cache").glob("features*")
    made = file.read_bytes()
    assert "Features of" in run_of(country, tmp_path / "third", *cached) and file.read_bytes() == made
    assert np.isfinite(np.load(file)).all() and not (np.load(file) == 1).all(axis=2).any()
    second, third = (load_checkpoint(tmp_path / name / "last_checkpoint.pth") for name in ("second", "third"))
    assert all(torch.equal(second["network"][key], third["network"][key]) for key in second["network"])


def test_several_processes_cache_the_features_of_one(country: Path, tmp_path: Path):  # noqa: F811
    made = {}
    for count, cache in ((1, "disk"), (2, "disk"), (3, "ram")):
        given = ["--method", "cells", "--dataset_folder", country, *CELLS, *SMALL, *EPOCH, "--cache_features", cache]
        given += ["--batch_size", 12, "--output_folder", tmp_path / f"{count}" / "run"]
        code, output = in_processes(count, "train.py", *given, preload="tests.own_cache")
        assert code == 0, output
        files = list((tmp_path / f"{count}" / "cache").glob("features*"))
        assert len(files) == (cache == "disk")
        made[count] = np.load(files[0]) if files else None
    assert np.allclose(made[1], made[2], rtol=2e-3, atol=1e-4)


def test_unreadable_photos_are_counted_in_training_and_in_cached_features(tmp_path: Path):
    folder = write_country(tmp_path / "country")
    for broken in ("train/2_1.jpg", "val/0_0.jpg", "test/1_1.jpg"):
        (folder / broken).write_bytes(b"no picture")
    ways = (["--cache_features", "disk"], ["--cache_features", "disk"], ["--cache_features", "none"])
    for number, cache in enumerate(ways):  # features are extracted, then read from their file
        output = run_of(folder, tmp_path / f"{number}", *CELLS, *cache)
        assert "train/2_1.jpg: cannot be decoded" in output and "val/0_0.jpg: cannot be decoded" in output
        record = json.loads((tmp_path / f"{number}" / "run.json").read_text())
        assert record["unreadable_training_images"] == 1
        results = json.loads((tmp_path / f"{number}" / "results.json").read_text())
        assert [own["skipped_photos"] for own in results.values()] == [1, 1], results.keys()
        assert results["country/test"]["unanswered"] == 1


def test_photos_in_no_cell_are_counted(country: Path, tmp_path: Path):  # noqa: F811
    """Cells of S2 around five of the six towns: the photos of the sixth are in none."""
    towns_in = np.repeat(np.array(TOWNS[:5]), 2, axis=0)
    save_cells(build_partition("s2", *towns_in.T, {"max_images": 2, "min_images": 1}), tmp_path / "five.parquet")
    output = run_of(country, tmp_path / "run", "--cells_file", tmp_path / "five.parquet")
    assert "of 48 training photos are in no cell and are left out" in output
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results[f"{country.name}/test"]["in no cell"] >= 4
    far = build_partition("s2", [-30.0] * 2, [20.0, 21.0], {"max_images": 1, "min_images": 1})
    save_cells(far, tmp_path / "a.parquet")
    output = run_of(country, tmp_path / "none", "--cells_file", tmp_path / "a.parquet", code=1)
    assert output.strip().splitlines()[-1].startswith("error: none of the 48 training photos is in a cell")
