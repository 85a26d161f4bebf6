"""train.py, eval.py and tools with --method cells, as a user runs them, on a tiny country."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from commons.checkpoints import load_checkpoint
from commons.sphere import haversine_km
from tests.conftest import write_picture
from tests.helpers import assert_mistakes, call

pytestmark = pytest.mark.slow

TOWNS = [(55.0, 9.0), (55.0, 10.0), (56.0, 9.0), (56.0, 10.0), (57.0, 9.5), (57.2, 10.4)]
SMALL = [
    "--backbone", "ResNet18", "--cut_after", "layer2", "--pretrained", "none", "--image_size", 64,
    "--batch_size", 8, "--num_workers", 0, "--precision", "fp32", "--device", "cpu", "--lr", "3e-3",
    "--classifiers_lr", "3e-3", "--epochs_num", 3, "--iterations_per_epoch", 20,
]  # fmt: skip
CELLS = ["--cells", "kmeans", "--cell_options", "cells=6", "--coarser", "2"]


def write_country(folder: Path) -> Path:
    """Writes photos of six towns: photos of one town look alike, and lie within a kilometre or so."""
    draw = np.random.default_rng(0)
    for split, photos in (("train", 8), ("val", 3), ("test", 4)):
        rows = []
        for town, (latitude, longitude) in enumerate(TOWNS):
            for number in range(photos):
                name = f"{split}/{town}_{number}.jpg"
                write_picture(folder / name, town, draw)
                lat, lon = (degrees + draw.normal(0, 0.005) for degrees in (latitude, longitude))
                user = f"user {split} {town} {number // 2}"
                rows.append([name, lat, lon, f"region {town // 2}", f"town {town}", user])
        with open(folder / f"{split}.csv", "w", newline="") as stream:
            csv.writer(stream).writerows([["path", "latitude", "longitude", "region", "city", "user"], *rows])
    return folder


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_country(tmp_path_factory.mktemp("country"))


def train(country: Path, folder: Path, *flags: object) -> str:
    trained = [] if "--cache_features" in flags else ["--train_all_layers"]
    given = ["--method", "cells", "--dataset_folder", country, "--output_folder", folder, *CELLS, *SMALL]
    code, output = call("train.py", *given, *trained, *flags)
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def whole(country: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all heads."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    losses = ["--cell_loss", "cross_entropy,multi_head=0.5,offset=0.1", "--main_metric", "median km"]
    train(country, folder, *losses)
    return folder


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def test_it_learns_where_photos_were_taken(country: Path, whole: Path):
    found = results_of(whole)[f"{country.name}/test"]
    assert found["photos"] == 24 and found["cell top-5"] >= found["cell top-1"]
    answers = np.array(TOWNS)
    single = min(np.median(haversine_km(*np.array(TOWNS).T, *town)) for town in answers)
    assert found["median km"] < single / 3, found
    assert found["oracle"]["median km"] < 3
    assert found["answers"].keys() == {"best", "product", "mean", "offset"}
    low, high = found["intervals"]["within 25 km"]
    assert low <= found["within 25 km"] <= high
    assert found["region %"] >= found["city %"] > 40


def test_predictions_say_what_the_figures_say(country: Path, whole: Path):
    found, table = results_of(whole)[f"{country.name}/test"], pq.read_table(whole / "predictions.parquet")
    own = haversine_km(*(table[name].to_numpy() for name in (
        "predicted_latitude", "predicted_longitude", "latitude", "longitude")))  # fmt: skip
    assert np.allclose(own, table["error_km"].to_numpy())
    assert np.median(own) == pytest.approx(found["median km"])
    right = table["cell"].to_numpy() == np.array([cells[0] for cells in table["top_cells"].to_pylist()])
    assert 100 * right.mean() == pytest.approx(found["cell top-1"])
    shares = np.array(table["top_probabilities"].to_pylist())
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-4)  # six cells, all of them kept


def test_the_metric_that_was_asked_for_picks_the_best_epoch(whole: Path):
    best = load_checkpoint(whole / "best_model.pth")
    assert best["main_metric"] == {"name": "median km", "higher_is_better": False}
    with open(whole / "metrics.csv", newline="") as stream:
        medians = [float(row["val_median km"]) for row in csv.DictReader(stream)]
    assert best["epoch"] == medians.index(min(medians))


def test_it_resumes_bit_for_bit(country: Path, whole: Path, tmp_path: Path):
    halves = tmp_path / "halves"
    losses = ["--cell_loss", "cross_entropy,multi_head=0.5,offset=0.1", "--main_metric", "median km"]
    train(country, halves, *losses, "--epochs_num", 1)
    code, output = call("train.py", "--resume_train", halves / "last_checkpoint.pth", "--epochs_num", 3)
    assert code == 0, output
    first, second = (load_checkpoint(folder / "last_checkpoint.pth") for folder in (whole, halves))
    assert all(torch.equal(first["network"][key], second["network"][key]) for key in first["network"])
    assert first["partition"] == second["partition"]


def test_eval_gives_the_figures_of_training_and_measures_all_answers(country: Path, whole: Path, tmp_path: Path):
    given = ["--resume_model", whole / "best_model.pth", "--dataset_folder", country, "--output_folder", tmp_path / "e"]
    device = ["--device", "cpu", "--precision", "fp32"]
    code, output = call("eval.py", *given, *device, "--answer", "retrieval", "--gallery", country / "train.csv")
    assert code == 0, output
    trained, found = (results_of(folder)[f"{country.name}/test"] for folder in (whole, tmp_path / "e"))
    for name, own in trained["answers"].items():
        assert found["answers"][name] == pytest.approx(own), name
    assert found["answer"] == "retrieval" and found["median km"] == found["answers"]["retrieval"]["median km"]
    record = json.loads((tmp_path / "e" / "run.json").read_text())
    assert record["task"] == "geolocation" and "partition" not in record["config"]


def test_a_validation_set_is_taken_from_the_training_photos(country: Path, tmp_path: Path):
    table = country / "train.csv"
    given = ["--method", "cells", "--train_set_folder", table, "--output_folder", tmp_path / "run", *CELLS, *SMALL]
    code, output = call("train.py", *given, "--split_by", "user", "--val_share", "0.25", "--epochs_num", 1)
    assert code == 0, output
    assert "Validation set: 12 of 48 photos, split by user" in output


def test_checkpoints_are_souped_and_exported(country: Path, whole: Path, tmp_path: Path):
    best = whole / "best_model.pth"
    soup = ["--method", "greedy", "--dataset_folder", country, "--output", tmp_path / "soup.pth", "--device", "cpu"]
    code, output = call("tools.soup", best, whole / "last_checkpoint.pth", *soup)
    assert code == 0, output
    assert "median km" in output
    code, output = call("tools.export", tmp_path / "soup.pth", "--format", "onnx", "--output", tmp_path / "soup.onnx")
    assert code == 0, output
    figures = []
    for name in ("soup.pth", "soup.onnx"):
        own = ["--resume_model", tmp_path / name, "--dataset_folder", country, "--device", "cpu", "--precision", "fp32"]
        code, output = call("eval.py", *own, "--output_folder", tmp_path / f"of {name}")
        assert code == 0, output
        figures.append(results_of(tmp_path / f"of {name}")[f"{country.name}/test"]["answers"])
    for name, own in figures[0].items():
        assert figures[1][name] == pytest.approx(own, rel=1e-3), name


def test_mistakes_end_in_one_line(country: Path, whole: Path, tmp_path: Path):
    cells, out = ["--method", "cells", "--dataset_folder", country], ["--output_folder", tmp_path / "none"]
    evaluated = ["--resume_model", whole / "best_model.pth", "--dataset_folder", country]
    assert_mistakes(
        "train.py",
        [
            (["--dataset_folder", country, "--cells", "grid"], 2, "--cells and --method cosplace are in conflict"),
            ([*cells, "--loss", "arcface"], 2, "--loss and --method cells are in conflict"),
            ([*cells, "--cell_loss", "haversin"], 2, "did you mean haversine"),
            ([*cells, "--cell_loss", "multi_head"], 2, "needs several resolutions; add --coarser"),
            ([*cells, "--main_metric", "within 3 km"], 2, "--main_metric: within 3 km is unknown"),
            ([*cells, "--cells", "kmeans", "--cell_options", "cells=60", *SMALL, *out], 2, "60"),
            ([*cells, "--cells", "admin", *SMALL, *out], 2, "--polygons: --cells admin needs a file of polygons"),
            ([*cells, "--split_by", "sequence", *SMALL, *out], 2, "no photo names its sequence"),
        ],
    )
    assert_mistakes(
        "eval.py",
        [
            ([*evaluated, "--answer", "retrieval"], 2, "--answer retrieval needs --gallery"),
            ([*evaluated, "--answer", "product", "--radii", "0"], 2, "--radii"),
        ],
    )


def test_cached_features_train_the_head_alone_and_resume_bit_for_bit(country: Path, tmp_path: Path):
    plain = ["--augmentations", "none", "--epochs_num", 2]
    train(country, tmp_path / "cached", *plain, "--cache_features", "ram")
    train(country, tmp_path / "half", *plain[:2], "--epochs_num", 1, "--cache_features", "ram")
    code, output = call("train.py", "--resume_train", tmp_path / "half" / "last_checkpoint.pth", "--epochs_num", 2)
    assert code == 0, output
    first, second = (load_checkpoint(tmp_path / name / "last_checkpoint.pth") for name in ("cached", "half"))
    assert all(torch.equal(first["network"][key], second["network"][key]) for key in first["network"])
    untrained = load_checkpoint(tmp_path / "half" / "best_model.pth")["network"]
    same = [key for key in untrained if key.startswith("encoder.")]
    assert same and all(torch.equal(untrained[key], first["network"][key]) for key in same)
