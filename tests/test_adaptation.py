"""Self-supervision and domain adaptation as a user runs them, on tiny data."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import TINY, Started, assert_mistakes, call, in_processes

pytestmark = pytest.mark.slow

BESIDE = [
    "--self_supervised_weight", "0.1", "--self_supervised_loss_options", "width=16", "--auxiliary_lr", "0.01",
    "--adaptation", "gradient_reversal,coral,fourier,histogram",
]  # fmt: skip
EVAL = ["--device", "cpu", "--precision", "fp32", "--num_workers", 0]


@pytest.fixture(scope="module")
def photos(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test queries under names that say nothing of where they were taken."""
    folder = tmp_path_factory.mktemp("photos")
    for number, image in enumerate(sorted((city / "test" / "queries").iterdir())):
        shutil.copy(image, folder / f"holiday {number}.jpg")
    return folder


def flags(city: Path, folder: Path, photos: Path) -> list[object]:
    schedule = ["--epochs_num", 2, "--iterations_per_epoch", 12]
    return ["--dataset_folder", city, "--output_folder", folder, *TINY, *schedule, *BESIDE, "--target_folder", photos]


@pytest.fixture(scope="module")
def finished(city: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run with everything beside the method."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    code, output = call("train.py", *flags(city, folder, photos))
    assert code == 0, output
    assert "vicreg (" in output and "fourier (beta=0.01), histogram" in output
    return folder


def rows(folder: Path) -> list[dict]:
    with open(folder / "metrics.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_losses_beside_are_logged_and_learn(finished: Path):
    first, last = rows(finished)
    for name in ("vicreg", "gradient_reversal", "coral"):
        assert float(first[f"loss_{name}"]) > 0
    assert float(last["loss_vicreg"]) < float(first["loss_vicreg"])
    parts = 0.1 * float(first["loss_vicreg"]) + float(first["loss_gradient_reversal"]) + float(first["loss_coral"])
    assert float(first["loss"]) > parts


def test_a_stopped_run_resumes_bit_for_bit(city: Path, photos: Path, finished: Path, tmp_path: Path):
    folder = tmp_path / "run"
    process = Started("train.py", *flags(city, folder, photos), "--num_workers", 1)
    process.wait_for(r"epoch 1: .* [3-9]/12")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    position = torch.load(folder / "last_checkpoint.pth", weights_only=True)["position"]
    assert position["epoch"] == 1 and 0 < position["iteration"] < 12
    code, output = call("train.py", "--resume_train", folder / "last_checkpoint.pth")
    assert code == 0, output
    ours, whole = (torch.load(run / "last_checkpoint.pth", weights_only=True) for run in (folder, finished))
    assert all(torch.equal(ours["network"][key], whole["network"][key]) for key in whole["network"])
    learned = whole["extras"]["losses"]
    assert len(learned) > 5 and all(torch.equal(ours["extras"]["losses"][key], learned[key]) for key in learned)
    for name in rows(finished)[1]:
        if "loss" in name or "val_" in name:
            assert rows(folder)[1][name] == rows(finished)[1][name]


def test_every_result_on_seen_images_says_so(city: Path, finished: Path, photos: Path, tmp_path: Path):
    """Known by their content: the target images are copies under other names, and eval.py has only the checkpoint."""
    results = json.loads((finished / "results.json").read_text())
    seen = {"transductive": True, "target_folders": [str(photos)]}
    assert seen.items() <= results[f"{city.name}/test"].items()
    assert results[f"{city.name}/val"]["transductive"] is False
    model = ["--resume_model", finished / "best_model.pth", "--dataset_folder", city]
    code, output = call("eval.py", *EVAL, *model, "--output_folder", tmp_path)
    assert code == 0, output
    assert f"{city.name}/test: transductive: true. The network was adapted to 6 of its 6 queries" in output
    results = json.loads((tmp_path / "results.json").read_text())
    assert seen.items() <= results[f"{city.name}/test"].items()
    assert results[f"{city.name}/val"]["transductive"] is False
    further = [
        "--resume_model",
        finished / "best_model.pth",
        "--epochs_num",
        0,
        "--output_folder",
        tmp_path / "further",
    ]
    common = ["--dataset_folder", city, "--min_images_per_class", 2, "--groups_num", 1, "--batch_size", 4, *EVAL]
    code, output = call("train.py", *common, *further)
    assert code == 0, output
    results = json.loads((tmp_path / "further" / "results.json").read_text())
    assert seen.items() <= results[f"{city.name}/test, before training"].items()
    targets = torch.load(tmp_path / "further" / "best_model.pth", weights_only=True)["targets"]
    assert list(targets) == [str(photos)] and targets[str(photos)].shape == (6,)


def test_photos_without_positions_train_a_network(city: Path, tmp_path: Path):
    """Self-supervised, in two processes."""
    for number, image in enumerate(sorted((city / "train").iterdir())):
        (tmp_path / "album").mkdir(exist_ok=True)
        shutil.copy(image, tmp_path / "album" / f"{number}.jpg")
    folder = tmp_path / "run"
    data = ["--train_set_folder", tmp_path / "album", "--val_set_folder", city / "val", "--output_folder", folder]
    kept = [flag for flag in TINY if flag not in ("--min_images_per_class", "2", "--groups_num", "1")]
    short = [
        "--method",
        "selfsup",
        "--self_supervised_loss",
        "barlow_twins",
        "--self_supervised_loss_options",
        "width=8",
    ]
    code, output = in_processes(2, "train.py", *data, *kept, *short, "--epochs_num", 1, "--iterations_per_epoch", 6)
    assert code == 0, output
    assert "32 training images, without labels" in output and "Classes" not in output
    assert float(rows(folder)[0]["loss"]) == pytest.approx(float(rows(folder)[0]["loss_barlow_twins"]), rel=1e-5)
    assert "transductive" not in (folder / "results.json").read_text()


def test_adaptive_batch_norm(city: Path, finished: Path, photos: Path, tmp_path: Path):
    """Descriptors change; the folder is on record, and val is not measured with its own images."""
    model = ["--resume_model", finished / "best_model.pth", "--dataset_folder", city, "--save_descriptors"]
    for name, flag in (("plain", []), ("adapted", ["--adapt_batch_norm", photos])):
        code, output = call("eval.py", *EVAL, *model, *flag, "--output_folder", tmp_path / name)
        assert code == 0, output
    assert "Batch normalization adapted to 6 images" in output
    folder = f"{city.name}_test/queries_descriptors.npy"
    plain, adapted = (np.load(tmp_path / name / folder) for name in ("plain", "adapted"))
    assert np.allclose(np.linalg.norm(adapted, axis=1), 1, atol=1e-5)
    assert np.abs(plain - adapted).max() > 0.01
    results = json.loads((tmp_path / "adapted" / "results.json").read_text())
    assert results[f"{city.name}/test"]["transductive"] is True
    assert results[f"{city.name}/val"]["transductive"] is False


def test_mistakes_end_in_one_line(city: Path, finished: Path, photos: Path, tmp_path: Path):
    changed = tmp_path / "changed"
    shutil.copytree(photos, changed)
    next(changed.iterdir()).unlink()
    (tmp_path / "empty").mkdir()
    resume = ["--resume_train", finished / "last_checkpoint.pth", "--epochs_num", 3, "--target_folder"]
    mistakes = [
        ([*flags(city, tmp_path / "a", photos), "--batch_size", 1], 2, "raise it to 2"),
        ([*flags(city, tmp_path / "b", tmp_path / "empty")], 1, "contains no image"),
        ([*resume, changed], 1, "6 target images, now there are 5"),
    ]
    assert_mistakes("train.py", mistakes)
    vit = ["--backbone", "ViT_B_32", "--pretrained", "none", "--aggregation", "avg"]
    flag = ["--dataset_folder", city, "--adapt_batch_norm", photos, *EVAL, "--image_size", 64]
    mistakes = [([*flag, *vit, "--output_folder", tmp_path / "c"], 2, "no batch normalization")]
    assert_mistakes("eval.py", mistakes)
