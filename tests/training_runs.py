"""Short trainings for the tests of train.py."""

import csv
from pathlib import Path

import torch

from tests.helpers import TINY


def flags(city: Path, folder: Path) -> list[object]:
    schedule = ["--epochs_num", 3, "--iterations_per_epoch", 20]
    return ["--dataset_folder", city, "--output_folder", folder, *TINY, *schedule]


def weights(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True)["network"]


def assert_same_end(a: Path, b: Path) -> None:
    first, second = (torch.load(folder / "last_checkpoint.pth", weights_only=True) for folder in (a, b))
    assert all(torch.equal(first["network"][key], second["network"][key]) for key in first["network"])
    for ours, theirs in zip(first["method"]["classifiers"], second["method"]["classifiers"], strict=True):
        assert torch.equal(ours["W"], theirs["W"])
    assert [row["loss"] for row in rows(a)] == [row["loss"] for row in rows(b)]
    assert [row["val_R@1"] for row in rows(a)] == [row["val_R@1"] for row in rows(b)]


def rows(folder: Path) -> list[dict]:
    with open(folder / "metrics.csv", newline="") as stream:
        return list(csv.DictReader(stream))
