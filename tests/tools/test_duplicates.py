"""tools.duplicates as a user runs it."""

import csv
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import write_picture
from tests.helpers import assert_mistakes, call


def test_copies_and_pictures_that_look_the_same_are_counted(tmp_path: Path):
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 4)):
        (tmp_path / split).mkdir()
        rows = [["path", "latitude", "longitude"], *([f"{split}/{n}.jpg", 50 + n, 5] for n in range(count))]
        with open(tmp_path / f"{split}.csv", "w", newline="") as stream:
            csv.writer(stream).writerows(rows)
        for number in range(count):
            write_picture(tmp_path / split / f"{number}.jpg", number + (0 if split == "train" else 20), draw)
    shutil.copy(tmp_path / "train" / "3.jpg", tmp_path / "test" / "1.jpg")
    Image.open(tmp_path / "train" / "5.jpg").resize((50, 50)).save(tmp_path / "test" / "2.jpg", quality=60)
    tables = [tmp_path / "test.csv", tmp_path / "train.csv"]
    code, output = call("tools.duplicates", *tables, "--output", tmp_path / "pairs.csv")
    assert code == 0, output
    assert "1 of 4 test photos are training photos, and 1 look like one (50.00% together)" in output
    with open(tmp_path / "pairs.csv", newline="") as stream:
        pairs = [(Path(row["test"]).name, Path(row["training"]).name) for row in csv.DictReader(stream)]
    assert pairs == [("1.jpg", "3.jpg"), ("2.jpg", "5.jpg")]


def test_what_is_missing_is_named():
    assert_mistakes("tools.duplicates", [(["nowhere", "."], 2, "nowhere: there is no such file or folder")])
