"""train.py, eval.py and localize.py with location embeddings, as a user runs them, on a tiny country."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from commons.checkpoints import load_checkpoint
from tests.helpers import assert_mistakes, call, in_processes
from tests.test_geolocation import SMALL, write_country

pytestmark = pytest.mark.slow

ENCODER = ["--location_encoder", "spherical_harmonics", "--location_encoder_options", "legendre=60,width=64,dim=32"]


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_country(tmp_path_factory.mktemp("country"))


def train(country: Path, folder: Path, method: str, *flags: object) -> None:
    given = ["--method", method, "--dataset_folder", country, "--output_folder", folder, *ENCODER, *SMALL]
    code, output = call("train.py", *given, *flags)
    assert code == 0, output


def results_of(folder: Path, name: str) -> dict:
    return json.loads((folder / "results.json").read_text())[name]


@pytest.mark.parametrize("method", ["location_embedding", "geoclip"])
def test_it_trains_resumes_bit_for_bit_and_is_evaluated(country: Path, tmp_path: Path, method: str):
    whole, halves, name = tmp_path / "whole", tmp_path / "halves", f"{country.name}/test"
    train(country, whole, method, "--train_all_layers", "--epochs_num", 2)
    train(country, halves, method, "--train_all_layers", "--epochs_num", 1)
    code, output = call("train.py", "--resume_train", halves / "last_checkpoint.pth", "--epochs_num", 2)
    assert code == 0, output
    first, second = (load_checkpoint(folder / "last_checkpoint.pth") for folder in (whole, halves))
    assert all(torch.equal(first["network"][key], second["network"][key]) for key in first["network"])
    start = load_checkpoint(halves / "best_model.pth")
    key = next(key for key in first["network"] if key.startswith("location.") and key.endswith("weight"))
    moved = not torch.equal(first["network"][key], start["network"][key])
    assert moved == (method == "geoclip") or start["epoch"] != 0
    assert first["task"] == "location_embedding"

    given = ["--resume_model", whole / "best_model.pth", "--dataset_folder", country, "--device", "cpu"]
    code, output = call("eval.py", *given, "--precision", "fp32", "--output_folder", tmp_path / "eval")
    assert code == 0, output
    trained, measured = results_of(whole, name), results_of(tmp_path / "eval", name)
    assert measured["answers"].keys() == {"gallery", "softmax"}
    for answer, own in trained["answers"].items():
        assert measured["answers"][answer] == pytest.approx(own, rel=1e-4), answer
    assert (tmp_path / "eval" / "report.html").is_file() or list((tmp_path / "eval").glob("*/report.html"))

    photos = country / "test"
    code, output = call("localize", photos, "--resume_model", whole / "best_model.pth", "--device", "cpu", "--top_k", 2)
    assert code == 0 and "Denmark" in output and "Warning" not in output, output


def test_localize_answers_as_eval_does_with_a_decoder(country: Path, tmp_path: Path):
    run, decoder = tmp_path / "run", tmp_path / "decoder"
    train(country, run, "location_embedding", "--epochs_num", 1)
    positions = ["--train_set_folder", country / "train.csv", "--epochs_num", 1, "--output_folder", decoder]
    code, output = call("train.py", "--method", "location_decoder", *ENCODER, *positions, "--device", "cpu")
    assert code == 0, output
    answer = ["--decoder", decoder / "best_model.pth", "--answer", "decoder", "--device", "cpu", "--precision", "fp32"]
    network = ["--resume_model", run / "best_model.pth"]
    code, output = call("eval.py", *network, *answer, "--dataset_folder", country, "--output_folder", tmp_path / "eval")
    assert code == 0, output
    code, output = call("localize", country / "test", *network, *answer, "--output", tmp_path / "found.csv")
    assert code == 0, output
    table = tmp_path / "eval" / f"{country.name}_test" / "predictions.parquet"
    wanted = {Path(row["path"]).name: row for row in pq.read_table(table).to_pylist()}
    with open(tmp_path / "found.csv", newline="") as stream:
        first = [row for row in csv.DictReader(stream) if row["rank"] == "1"]
    assert len(first) == len(wanted)
    for row in first:
        own = wanted[Path(row["photo"]).name]
        found = float(row["latitude"]), float(row["longitude"])
        assert found == pytest.approx((own["predicted_latitude"], own["predicted_longitude"]), abs=1e-4)
    assert_mistakes(
        "localize",
        [
            ([country / "test", *network, "--answer", "region"], 2, "--answer region needs --decoder"),
            ([country / "test", *network, "--answer", "best"], 2, "--answer: best: choose from gallery, softmax"),
            ([country / "test", *network, "--decoder", run / "best_model.pth"], 1, "not a checkpoint of a location"),
        ],
    )


@pytest.mark.parametrize(
    ("method", "options"), [("location_embedding", []), ("geoclip", ["--method_options", "queue=64"])]
)
def test_it_learns_from_cached_features(country: Path, tmp_path: Path, method: str, options: list[str]):
    train(country, tmp_path / "run", method, "--cache_features", "ram", *options)
    with open(tmp_path / "run" / "metrics.csv", newline="") as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[2] < 0.85 * losses[0], losses


def test_two_processes_train_the_location_encoder_too(country: Path, tmp_path: Path):
    given = ["--method", "geoclip", "--dataset_folder", country, "--output_folder", tmp_path / "run", *ENCODER, *SMALL]
    code, output = in_processes(2, "train.py", *given, "--train_all_layers", "--epochs_num", 1)
    assert code == 0 and "2 process(es)" in output, output
    start = load_checkpoint(tmp_path / "run" / "last_checkpoint.pth")["network"]
    assert all(torch.isfinite(tensor).all() for name, tensor in start.items() if name.startswith("location."))


def test_mistakes_end_in_one_line(country: Path, tmp_path: Path):
    given = ["--method", "location_embedding", "--dataset_folder", country, *ENCODER]
    assert_mistakes(
        "train.py",
        [
            ([*given, "--cell_loss", "haversine"], 2, "--cell_loss and --method location_embedding are in conflict"),
            ([*given, "--location_encoder", "geo"], 2, "--location_encoder: geo is unknown"),
            (["--dataset_folder", country, *ENCODER], 2, "--location_encoder and --method cosplace are in conflict"),
            (["--method", "cells", "--dataset_folder", country, *ENCODER], 2, "is for --method location_embedding"),
            ([*given, "--decoder", "nowhere.pth"], 2, "--decoder nowhere.pth: there is no such file"),
        ],
    )
