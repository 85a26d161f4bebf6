"""python -m tools.lr_range on a tiny data set."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commons.devices import make_accelerator
from flags.tools import LrRangeSettings
from parser import parse_train_settings
from tests.helpers import TINY, assert_mistakes, call
from tools.lr_range import range_test

SHORT = ["--epochs_num", "1", "--iterations_per_epoch", "10", "--trackers", "none"]
METHODS = {
    "cosplace": [],
    "eigenplaces": ["--method_options", "tolerance=180", "--N", "1"],
    "gsv": ["--batch_size", "8", "--accumulate", "2"],
    "selfsup": [],
}


def flags_of(method: str, city: Path) -> list[str]:
    flags = [*TINY, "--method", method, "--dataset_folder", str(city), *SHORT, *METHODS[method]]
    if method == "selfsup":  # it has no classes
        for name in ("--min_images_per_class", "--groups_num"):
            cut = flags.index(name)
            del flags[cut : cut + 2]
    return flags


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_of_train(method: str, city: Path, tmp_path: Path):
    """With a rate that hardly rises, the test is an epoch of train.py, to the same random numbers."""
    flags = flags_of(method, city)
    code, output = call("train.py", *flags, "--output_folder", tmp_path)
    assert code == 0, output
    with open(tmp_path / "metrics.csv") as file:
        (row,) = csv.DictReader(file)
    own = LrRangeSettings(lowest=1e-3, highest=1e-3 * (1 + 1e-9), iterations=10)
    test = range_test(own, parse_train_settings(flags), make_accelerator("cpu"))
    assert len(test.losses) == 10 and test.losses.mean() == pytest.approx(float(row["loss"]), rel=1e-3)


@pytest.mark.slow
def test_the_command(city: Path, tmp_path: Path):
    picture = tmp_path / "range.png"
    own = ["--iterations", 40, "--lowest", 1e-6, "--highest", 10, "--output", picture]
    code, output = call("tools.lr_range", *own, "--", *flags_of("cosplace", city))
    assert code == 0, output
    assert "Steepest descent at" in output and f"Written: {picture}" in output
    assert "Suggested: --lr" in output or "no learning rate can be suggested" in output
    with Image.open(picture) as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_mistakes_end_in_one_line(city: Path, tmp_path: Path):
    flags = flags_of("cosplace", city)
    assert_mistakes(
        "tools.lr_range",
        [
            (["--iterations", 5, "--", *flags], 2, "must be 10 or more"),
            (["--", *flags, "--accumulate", 3], 2, "--accumulate 3: --iterations_per_epoch must be a multiple"),
            (["--", "--dataset_folder", tmp_path / "none"], 2, "none"),
            (["--", "--lrr", 3], 2, "did you mean --lr"),
        ],
    )
