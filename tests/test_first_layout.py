"""Checkpoints of the first layout, written by its last version, can be evaluated and resumed.

They come from a training of two epochs on the tiny data set of conftest.py, with a cut network:

    python train.py --dataset_folder CITY --backbone MobileNet_V3_Small --cut_after features.4 --pretrained none \
        --num_trainable_blocks 2 --fc_output_dim 16 --image_size 64 --min_images_per_class 2 --groups_num 1 \
        --batch_size 4 --num_workers 0 --precision fp32 --device cpu --lr 1e-3 --iterations_per_epoch 5 --ema 0.9 \
        --scheduler plateau --trackers none --epochs_num 2

The expected losses below are those of the run as resumed by that version.
"""

import csv
import json
import shutil
from pathlib import Path

import pytest

from commons.checkpoints import load_checkpoint
from tests.helpers import call

DATA = Path(__file__).parent / "data" / "first_layout"
LOSSES = [17.519725036621093, 15.2093017578125, 15.987956237792968, 15.027410888671875]


def test_a_checkpoint_is_continued_as_its_own_version_did(city: Path, tmp_path: Path):
    folder = shutil.copytree(DATA, tmp_path / "run")
    assert "best_recall" in load_checkpoint(folder / "last_checkpoint.pth")["position"]
    resume = ["--resume_train", folder / "last_checkpoint.pth", "--dataset_folder", city, "--epochs_num", 4]
    code, output = call("train.py", *resume)
    assert code == 0, output
    with open(folder / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["loss"]) for row in rows] == pytest.approx(LOSSES, rel=1e-4)
    recalls = [float(row["val_R@1"]) for row in rows]
    assert recalls[:2] == [100, 100] and min(recalls) > 80  # one of six queries follows the rounding of the processor
    checkpoint = load_checkpoint(folder / "last_checkpoint.pth")
    assert (checkpoint["task"], checkpoint["position"]["best"]) == ("place_recognition", 100)
    assert checkpoint["main_metric"] == {"name": "R@1", "higher_is_better": True}


def test_a_checkpoint_is_evaluated(city: Path, tmp_path: Path):
    model = ["--resume_model", DATA / "best_model.pth", "--dataset_folder", city, "--output_folder", tmp_path / "run"]
    code, output = call("eval.py", *model, "--num_workers", 0, "--device", "cpu")
    assert code == 0, output
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results[f"{city.name}/test"]["R@1"] == 100
