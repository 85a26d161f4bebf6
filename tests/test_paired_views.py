"""train.py and eval.py on pairs of images, as a user runs them, on tiny data sets in published layouts."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from commons.checkpoints import load_checkpoint
from tests.helpers import assert_mistakes, call, in_processes
from tests.paired_views import write_cvact, write_cvusa, write_university, write_vigor
from tests.street_photos import write_world

pytestmark = pytest.mark.slow

SMALL = [
    "--method", "street_to_aerial", "--backbone", "ResNet18", "--cut_after", "layer2", "--pretrained", "none",
    "--fc_output_dim", 32, "--aggregation_options", "heads=4", "--image_size", 32, 64, "--aerial_size", 32,
    "--batch_size", 8, "--num_workers", 0, "--precision", "fp32", "--device", "cpu", "--lr", "1e-3", "--epochs_num", 2,
    "--iterations_per_epoch", 25, "--aerial_bearing", "north", "--augmentations", "none",
]  # fmt: skip
EVAL = ["--device", "cpu", "--precision", "fp32", "--num_workers", 0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_vigor(folder / "VIGOR")
    write_cvusa(folder / "CVUSA", 40, 16)
    write_cvact(folder / "CVACT", 40, 8, 12)
    write_university(folder / "University", 16, 6, 3)
    return folder


def train(data: Path, folder: Path, *flags: object) -> str:
    code, output = call("train.py", "--dataset_folder", data, "--output_folder", folder, *SMALL, *flags)
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def vigor(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vigor") / "run"
    output = train(data / "VIGOR", folder, "--protocol", "cross", "--hard_examples", "similarity", "--ema", 0.9)
    assert "so --levels is 1" in output and "chosen on the test images" in output
    return folder


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def test_vigor_is_learned(vigor: Path):
    found = results_of(vigor)["VIGOR/test"]
    assert (found["queries"], found["references"], found["protocol"]) == (36, 32, "cross")
    assert found["chance R@1"] == pytest.approx(100 / 32)
    assert found["R@1"] > 5 * found["chance R@1"] and found["hit rate"] >= found["R@1"] and "AP" not in found, found
    with open(vigor / "metrics.csv", newline="") as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[1] < losses[0], losses
    checkpoint = load_checkpoint(vigor / "best_model.pth")
    assert checkpoint["config"]["levels"] == 1 and checkpoint["config"]["protocol"] == "cross"
    record = json.loads((vigor / "run.json").read_text())
    assert record["task"] == "cross_view" and record["main_metric"]["name"] == "R@1"


def test_eval_repeats_the_figures_and_follows_the_protocol_of_the_training(data: Path, vigor: Path, tmp_path: Path):
    given = ["--resume_model", vigor / "best_model.pth", "--dataset_folder", data / "VIGOR", *EVAL]
    code, output = call("eval.py", *given, "--output_folder", tmp_path / "e")
    assert code == 0 and "R@1%" in output and "hit rate" in output, output
    found, before = results_of(tmp_path / "e")["VIGOR/test"], results_of(vigor)["VIGOR/test"]
    assert found == before
    code, output = call("eval.py", *given, "--protocol", "same", "--output_folder", tmp_path / "s")
    assert code == 0, output
    same = results_of(tmp_path / "s")["VIGOR/test"]
    assert (same["queries"], same["references"], same["protocol"]) == (36, 64, "same")
    table = pq.read_table(tmp_path / "e" / "predictions.parquet").to_pydict()
    assert 100 * np.mean(table["correct"]) == pytest.approx(found["R@1"])
    assert 100 * np.mean(np.array(table["rank"]) <= 5) == pytest.approx(found["R@5"])
    right = [error < 30 for error, correct in zip(table["error_m"], table["correct"], strict=True) if correct]
    assert all(right) and all(top[0] == own for top, own in zip(table["top"], table["predicted"], strict=True))


def test_one_network_is_measured_on_all_layouts(data: Path, vigor: Path, tmp_path: Path):
    folders = [data / name for name in ("CVUSA", "CVACT", "University")]
    given = ["--resume_model", vigor / "best_model.pth", "--dataset_folder", *folders, *EVAL]
    code, output = call("eval.py", *given, "--output_folder", tmp_path / "e")
    assert code == 0, output
    found = results_of(tmp_path / "e")
    counts = {name: (own["queries"], own["references"]) for name, own in found.items()}
    assert counts == {"CVUSA/val": (16, 16), "CVACT/val": (8, 8), "CVACT/test": (12, 12), "University/test": (18, 9)}
    assert [("AP" in own, "hit rate" in own) for own in found.values()] == 3 * [(False, False)] + [(True, False)]
    code, output = call("eval.py", *given[:2], "--dataset_folder", folders[2], "--protocol", "satellite-drone", *EVAL,
                        "--output_folder", tmp_path / "u")  # fmt: skip
    assert code == 0, output
    (own,) = results_of(tmp_path / "u").values()
    assert (own["queries"], own["references"], own["protocol"]) == (6, 27, "satellite-drone") and own["AP"] > 0


@pytest.mark.parametrize(("name", "flags"), [
    ("CVUSA", ("--hard_examples", "neighbours", "--aerial_bearing", "random", "--augmentations", "color_jitter")),
    ("CVACT", ("--hard_examples", "clusters", "--method_options", "scan=2")),
    ("University", ("--protocol", "satellite-drone", "--hard_examples", "similarity", "--image_size", "32", "32")),
])  # fmt: skip
def test_the_other_layouts_are_learned(data: Path, tmp_path: Path, name: str, flags: tuple[str, ...]):
    train(data / name, tmp_path / "run", *flags)
    found = results_of(tmp_path / "run")
    assert list(found) == {"CVACT": ["CVACT/val", "CVACT/test"], "CVUSA": ["CVUSA/val"]}.get(name, ["University/test"])
    own = list(found.values())[-1]
    assert own["R@1"] > 2 * own["chance R@1"], own


def test_it_resumes_bit_for_bit(data: Path, vigor: Path, tmp_path: Path):
    flags = ["--protocol", "cross", "--hard_examples", "similarity", "--ema", 0.9]
    train(data / "VIGOR", tmp_path / "run", *flags, "--epochs_num", 1)
    code, output = call("train.py", "--resume_train", tmp_path / "run" / "last_checkpoint.pth", "--epochs_num", 2)
    assert code == 0, output
    both = [load_checkpoint(folder / "last_checkpoint.pth") for folder in (vigor, tmp_path / "run")]
    for part in ("network", "average"):
        assert all(torch.equal(both[0][part][key], both[1][part][key]) for key in both[0][part])


def test_two_processes(data: Path, vigor: Path, tmp_path: Path):
    given = ["--resume_model", vigor / "best_model.pth", "--dataset_folder", data / "VIGOR", *EVAL]
    code, output = in_processes(2, "eval.py", *given, "--output_folder", tmp_path / "e")
    assert code == 0, output
    assert results_of(tmp_path / "e")["VIGOR/test"] == pytest.approx(results_of(vigor)["VIGOR/test"])


def test_mistakes_end_in_one_line(data: Path, vigor: Path, tmp_path: Path):
    world, best = write_world(tmp_path / "town", 12, 4), vigor / "best_model.pth"
    given = ["--dataset_folder", data / "VIGOR", *SMALL]
    assert_mistakes(
        "train.py",
        [
            ([*given, "--protocol", "area"], 2, "--protocol: area: data of the layout vigor have one of same, cross"),
            ([*given, "--tiles", world / "tiles"], 2, "--tiles: is not for"),
            ([*given, "--val_set_folder", data], 2, "--val_set_folder: is not for data sets of paired images"),
            ([*given, "--aerial_bearing", "heading"], 2, "--aerial_bearing: heading needs tiles"),
            (["--dataset_folder", data / "University", *SMALL, "--hard_examples", "neighbours"], 2,
             "--hard_examples: neighbours needs positions"),
            (["--dataset_folder", world, *SMALL, "--protocol", "same"], 2, "--protocol: is for data sets of paired"),
        ],
    )  # fmt: skip
    assert_mistakes(
        "eval.py",
        [
            (["--resume_model", best, "--dataset_folder", data / "VIGOR", world], 2, "is not a data set of paired"),
            (["--resume_model", best, "--dataset_folder", data / "CVUSA", "--protocol", "same"], 2, "cvusa have none"),
            (["--resume_model", best, "--dataset_folder", data / "CVUSA", "--cell_size", 20], 2, "--cell_size: is not"),
        ],
    )


def test_a_network_of_several_levels_is_refused(data: Path, tmp_path: Path):
    world = write_world(tmp_path / "town", 24, 8)
    train(world, tmp_path / "run", "--levels", 2, "--epochs_num", 1, "--iterations_per_epoch", 2)
    given = ["--resume_model", tmp_path / "run" / "best_model.pth", "--dataset_folder", data / "CVUSA", *EVAL]
    assert_mistakes("eval.py", [(given, 1, "the network takes 2 aerial images per place, but CVUSA/val has one")])
