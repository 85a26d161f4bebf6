"""A task with a different metric (lower is better) and report, from training to comparison."""

import csv
import json
from pathlib import Path

import pytest
import torch

from commons.checkpoints import load_checkpoint
from tests.helpers import call

METRIC = {"name": "mean error", "higher_is_better": False}


def run(script: str, *flags: object) -> str:
    code, output = call(script, *flags, preload="tests.toy_task")
    assert code == 0, output
    return output


def train(city: Path, folder: Path, *flags: object) -> Path:
    length = ["--iterations_per_epoch", 5, "--image_size", 32, "--lr", 0.05, "--ema", 0.5, "--num_workers", 0]
    own = ["--method", "brightness", "--device", "cpu", "--precision", "fp32", "--scheduler", "plateau"]
    run("train.py", "--dataset_folder", city, "--output_folder", folder, *own, *length, *flags)
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def whole(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(city, tmp_path_factory.mktemp("toy") / "whole", "--epochs_num", 4)


def test_it_trains_and_the_lowest_error_picks_the_best_epoch(whole: Path):
    errors = [float(row["val_mean error"]) for row in rows(whole)]
    best = load_checkpoint(whole / "best_model.pth")
    assert (best["task"], best["main_metric"]) == ("brightness", METRIC)
    assert best["epoch"] == errors.index(min(errors)) > 0
    assert best["results"]["photos/val"]["mean error"] == min(errors)
    record = json.loads((whole / "run.json").read_text())
    assert (record["task"], record["main_metric"]) == ("brightness", METRIC)
    assert record["figures"] == ["mean error", "worst error"]
    assert json.loads((whole / "results.json").read_text())["photos/test"].keys() == {"mean error", "worst error"}
    assert "photos/test" in (whole / "brightness.txt").read_text()  # its own report
    assert not (whole / "predictions.parquet").exists()  # and not another task's
    assert (whole / "training_curves.png").is_file()


def test_it_resumes_bit_for_bit(city: Path, whole: Path, tmp_path: Path):
    halves = train(city, tmp_path / "halves", "--epochs_num", 2)
    run("train.py", "--resume_train", halves / "last_checkpoint.pth", "--epochs_num", 4)
    first, second = (load_checkpoint(folder / "last_checkpoint.pth") for folder in (whole, halves))
    for part in ("network", "average"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])
    timed = ("seconds", "images_per_second")
    kept = [[{k: v for k, v in row.items() if k not in timed} for row in rows(folder)] for folder in (whole, halves)]
    assert kept[0] == kept[1]


def test_it_is_evaluated_souped_and_compared(city: Path, whole: Path, tmp_path: Path):
    other = train(city, tmp_path / "other", "--epochs_num", 2, "--lr", 1e-4)
    models = [folder / "best_model.pth" for folder in (other, whole)]
    run("eval.py", "--resume_model", models[1], "--dataset_folder", city, "--output_folder", tmp_path / "eval")
    measured, trained = (json.loads((folder / "results.json").read_text()) for folder in (tmp_path / "eval", whole))
    assert measured["photos/test"] == pytest.approx(trained["photos/test"])

    soup = ["--method", "greedy", "--dataset_folder", city, "--output", tmp_path / "soup.pth", "--device", "cpu"]
    output = run("tools.soup", *models, *soup)
    made = load_checkpoint(tmp_path / "soup.pth")
    errors = {name: own["mean error"] for name, own in made["results"].items()}
    assert made["soup"]["members"][0] == str(models[1]) and "mean error" in output  # the lowest error comes first
    assert errors[str(tmp_path / "soup.pth")] <= errors[str(models[1])] < errors[str(models[0])]
    assert made["task"] == "brightness"

    table = run("tools.compare", other, whole, "--sort")
    assert "| photos/test mean error |" in table
    assert table.index("| epochs_num=4 |") < table.index("| epochs_num=2 |"), table  # the lower error is the better one


def test_networks_of_different_tasks_are_not_evaluated_together(city: Path, whole: Path, tmp_path: Path):
    foreign = tmp_path / "foreign.pth"
    torch.save({"network": {}, "config": {}}, foreign)
    code, output = call(
        "eval.py", "--resume_model", foreign, whole / "best_model.pth", "--dataset_folder", city,
        preload="tests.toy_task",
    )  # fmt: skip
    assert code == 1 and "networks of different tasks cannot be evaluated together" in output, output
    code, output = call("eval.py", "--resume_model", whole / "best_model.pth", "--dataset_folder", city)
    assert code == 1 and "its task brightness is unknown in this version" in output, output
