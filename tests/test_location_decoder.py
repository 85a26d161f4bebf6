"""train.py, eval.py and tools with --method location_decoder, as a user runs them, on a square of 1,000 km."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from commons.checkpoints import load_checkpoint
from tests.cells.worlds import box, boxes
from tests.helpers import assert_mistakes, call, in_processes

pytestmark = pytest.mark.slow

ENCODER = ["--location_encoder", "spherical_harmonics", "--location_encoder_options", "legendre=12,width=64,dim=32"]
SHORT = ["--train_points", 500, "--test_points", 60, "--batch_size", 100, "--iterations_per_epoch", 50, "--ema", 0.5]


def train(folder: Path, source: list[object], *flags: object) -> None:
    given = ["--method", "location_decoder", *source, "--output_folder", folder, *ENCODER, *SHORT, "--device", "cpu"]
    code, output = call("train.py", *given, "--precision", "fp32", *flags)
    assert code == 0, output


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boxes(tmp_path_factory.mktemp("region") / "square.geojson", [box(5, 40, 15, 50)], name=["square"])


@pytest.fixture(scope="module")
def whole(square: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(folder, ["--polygons", square], "--epochs_num", 3)
    return folder


def test_it_learns_and_all_ways_are_measured(square: Path, whole: Path, tmp_path: Path):
    best = load_checkpoint(whole / "best_model.pth")
    assert (best["task"], best["main_metric"]) == ("location_decoder", {"name": "mean km", "higher_is_better": False})
    trained = results_of(whole)
    assert trained["square/test"]["mean km"] < 60 and trained["square/test"]["positions"] == 60
    assert trained["square/val"]["mean km"] != trained["square/test"]["mean km"]

    given = ["--resume_model", whole / "best_model.pth", "--test_set_folder", square, "--device", "cpu"]
    code, output = call("eval.py", *given, "--gallery", square, "--output_folder", tmp_path / "eval")
    assert code == 0, output
    found = results_of(tmp_path / "eval")["square/test"]
    assert found["mean km"] == pytest.approx(trained["square/test"]["mean km"], rel=1e-5)
    ways = found["answers"]
    assert len(ways) == 6 and ways["decoder"]["mean km"] == found["mean km"]
    assert ways["decoder + descent"]["mean km"] < ways["decoder"]["mean km"]
    # The nearest of 500 positions in the square lies about 18 km away; with test positions among them, it would be 0.
    assert 8 < ways["gallery, nearest"]["mean km"] < 30
    assert all(name in output for name in ways)
    table = pq.read_table(tmp_path / "eval" / "predictions.parquet")
    assert np.mean(table["error_km"].to_numpy()) == pytest.approx(found["mean km"])


def test_it_resumes_bit_for_bit(square: Path, tmp_path: Path):
    train(tmp_path / "one", ["--polygons", square], "--epochs_num", 1, "--scheduler", "none")
    train(tmp_path / "two", ["--polygons", square], "--epochs_num", 2, "--scheduler", "none")
    code, output = call("train.py", "--resume_train", tmp_path / "one" / "last_checkpoint.pth", "--epochs_num", 2)
    assert code == 0, output
    first, second = (load_checkpoint(tmp_path / name / "last_checkpoint.pth") for name in ("one", "two"))
    for part in ("network", "average"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])


def test_a_table_of_positions_and_two_processes(tmp_path: Path):
    latitude, longitude = np.random.default_rng(0).uniform(40, 50, (2, 600))
    pq.write_table(pa.table({"latitude": latitude, "longitude": longitude}), tmp_path / "table.parquet")
    given = ["--method", "location_decoder", "--train_set_folder", tmp_path / "table.parquet", *ENCODER, *SHORT]
    folder = ["--output_folder", tmp_path / "run", "--device", "cpu", "--epochs_num", 1]
    code, output = in_processes(2, "train.py", *given, *folder)
    assert code == 0 and "2 process(es)" in output, output
    assert "480 training positions, 60 for validation, 60 for the test" in output
    pq.write_table(pa.table({"lat": latitude[:7], "lon": longitude[:7]}), tmp_path / "few.parquet")
    test_sets = ["--test_set_folder", tmp_path / "table.parquet", tmp_path / "few.parquet"]
    model = ["--resume_model", tmp_path / "run" / "best_model.pth", "--device", "cpu"]
    code, output = call("eval.py", *model, *test_sets, "--output_folder", tmp_path / "eval")
    assert code == 0, output
    found = results_of(tmp_path / "eval")
    assert {name: own["positions"] for name, own in found.items()} == {"table/test": 60, "few": 7}
    own = results_of(tmp_path / "run")["table/test"]
    assert found["table/test"]["mean km"] == pytest.approx(own["mean km"], rel=1e-4)


def test_it_is_souped_and_compared(square: Path, whole: Path, tmp_path: Path):
    train(tmp_path / "other", ["--polygons", square], "--epochs_num", 1)
    models = [folder / "best_model.pth" for folder in (tmp_path / "other", whole)]
    soup = ["--method", "greedy", "--val_set_folder", square, "--output", tmp_path / "soup.pth", "--device", "cpu"]
    code, output = call("tools.soup", *models, *soup)
    assert code == 0 and load_checkpoint(tmp_path / "soup.pth")["soup"]["members"][0] == str(models[1]), output
    code, output = call("tools.compare", tmp_path / "other", whole, "--sort")
    assert code == 0 and "| square/test mean km |" in output, output
    assert output.index("| epochs_num=3 |") < output.index("| epochs_num=1 |"), output
    code, output = call("train.py", "--config", whole / "config.yaml", "--output_folder", tmp_path / "again")
    assert code == 0 and results_of(tmp_path / "again")["square/test"]["positions"] == 60, output


def test_mistakes_end_in_one_line(square: Path, whole: Path, tmp_path: Path):
    model = ["--resume_model", whole / "best_model.pth"]
    assert_mistakes(
        "eval.py",
        [
            ([*model, "--dataset_folder", tmp_path], 2, "--dataset_folder: is not for networks of the task"),
            ([*model, "--test_set_folder", tmp_path / "no.geojson"], 1, "no.geojson: there is no such file"),
            ([*model, *model[1:], "--test_set_folder", square], 2, "location decoders cannot be evaluated together"),
        ],
    )
    photo = tmp_path / "a.jpg"
    photo.touch()
    assert_mistakes("localize", [([photo, *model], 1, "of the task location_decoder cannot locate photos")])
    export = [*model[1:], "--format", "onnx", "--output", tmp_path / "a.onnx"]
    assert_mistakes("tools.export", [(export, 1, "take no images and cannot")])
