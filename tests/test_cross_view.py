"""train.py, eval.py and tools with --method street_to_aerial, as a user runs them, on a tiny world."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from commons.checkpoints import load_checkpoint
from commons.sphere import haversine_km
from tests.helpers import Started, assert_mistakes, call, in_processes
from tests.street_photos import photo_name, position, write_world

pytestmark = pytest.mark.slow

SMALL = [
    "--backbone", "ResNet18", "--cut_after", "layer2", "--pretrained", "none", "--fc_output_dim", 32,
    "--aggregation_options", "heads=4", "--image_size", 36, 48, "--levels", 2, "--metres_per_pixel", 1.5,
    "--aerial_size", 32, "--batch_size", 8, "--num_workers", 0, "--precision", "fp32", "--device", "cpu",
    "--lr", "1e-3", "--epochs_num", 3, "--iterations_per_epoch", 20,
    "--aerial_bearing", "north", "--aerial_offset", 5, "--augmentations", "none",
]  # fmt: skip
HARD = ["--hard_examples", "clusters", "--method_options", "scan=4", "--loss_options", "learnable=true,temperature=0.1"]
HARD += ["--ema", 0.9]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world") / "town")


def train(world: Path, folder: Path, *flags: object) -> str:
    given = ["--method", "street_to_aerial", "--dataset_folder", world, "--output_folder", folder, *SMALL]
    code, output = call("train.py", *given, *flags)
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with hard examples, a learnable temperature and a moving average."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(world, folder, *HARD)
    return folder


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def same_networks(first: Path, second: Path) -> bool:
    both = [load_checkpoint(folder / "last_checkpoint.pth") for folder in (first, second)]
    parts = ("network", "average")
    return all(torch.equal(both[0][part][key], both[1][part][key]) for part in parts for key in both[0][part])


def test_it_learns_where_photos_were_taken(world: Path, whole: Path):
    found = results_of(whole)["town/test"]
    assert found["photos"] == 12 and found["cells"] == found["cells of the region"] > 250
    both = [results_of(whole)[name] for name in ("town/val", "town/test")]
    assert sum(own["R@5<50m"] - 2 * own["chance"]["R@5<50m"] for own in both) > 0, both
    with open(whole / "metrics.csv", newline="") as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[2] < losses[0], losses
    record = json.loads((whole / "run.json").read_text())
    assert record["task"] == "cross_view" and record["network"]["descriptor_dim"] == 32


def test_predictions_and_the_sheet_say_what_the_figures_say(whole: Path):
    found, table = results_of(whole)["town/test"], pq.read_table(whole / "predictions.parquet")
    names = ("predicted_latitude", "predicted_longitude", "latitude", "longitude")
    metres = 1000 * haversine_km(*(table[name].to_numpy() for name in names))
    assert np.allclose(metres, table["error_m"].to_numpy())
    assert np.median(metres) == pytest.approx(found["median m"])
    assert 100 * (metres < 50).mean() == pytest.approx(found["R@1<50m"])
    tops = np.array(table["top_errors_m"].to_pylist())
    assert 100 * (tops[:, :5] < 50).any(axis=1).mean() == pytest.approx(found["R@5<50m"])
    with Image.open(whole / "predictions.jpg") as sheet:
        assert sheet.width > 1000


def test_it_resumes_bit_for_bit_between_epochs(world: Path, whole: Path, tmp_path: Path):
    train(world, tmp_path / "halves", *HARD, "--epochs_num", 1)
    code, output = call("train.py", "--resume_train", tmp_path / "halves" / "last_checkpoint.pth", "--epochs_num", 3)
    assert code == 0, output
    assert same_networks(whole, tmp_path / "halves")


def test_it_resumes_bit_for_bit_within_an_epoch_of_hard_examples(world: Path, whole: Path, tmp_path: Path):
    folder = tmp_path / "run"
    given = ["--method", "street_to_aerial", "--dataset_folder", world, "--output_folder", folder, *SMALL, *HARD]
    process = Started("train.py", *given)
    process.wait_for(r"epoch 1: .* [1-9]\d*/\d+ \[")
    process.terminate()
    process.wait()
    position = load_checkpoint(folder / "last_checkpoint.pth")["position"]
    assert position["epoch"] >= 1 and position["iteration"] > 0, position
    code, output = call("train.py", "--resume_train", folder / "last_checkpoint.pth")
    assert code == 0, output
    assert same_networks(whole, folder)


def test_eval_gives_the_figures_of_training(world: Path, whole: Path, tmp_path: Path):
    given = ["--resume_model", whole / "best_model.pth", "--dataset_folder", world, "--output_folder", tmp_path / "e"]
    code, output = call("eval.py", *given, "--device", "cpu", "--precision", "fp32", "--num_workers", 0)
    assert code == 0, output
    trained, found = results_of(whole), results_of(tmp_path / "e")
    for name in ("town/val", "town/test"):
        chance = trained[name].pop("chance")
        assert {key: found[name][key] for key in trained[name]} == pytest.approx(trained[name]), name
        assert found[name]["chance"] == pytest.approx(chance), name
    assert (tmp_path / "e" / "town_test" / "predictions.jpg").is_file() or list((tmp_path / "e").glob("*/*.jpg"))
    code, output = call(
        "eval.py", "--resume_model", whole / "best_model.pth", "--test_set_folder", world / "test", "--tiles",
        world / "tiles", "--reference_cells", 40, "--cell_size", 20, "--device", "cpu",
        "--output_folder", tmp_path / "f",
    )  # fmt: skip
    assert code == 0, output
    (found,) = results_of(tmp_path / "f").values()
    assert (found["cells"], found["cell_size"]) == (40, 20) and found["cells of the region"] > 500


def test_networks_are_souped_compared_and_started_from(world: Path, whole: Path, tmp_path: Path):
    soup, best = tmp_path / "soup.pth", whole / "best_model.pth"
    code, output = call("tools.soup", best, best, "--dataset_folder", world, "--output", soup, "--device", "cpu")
    assert code == 0 and "R@1<50m" in output, output
    first, second = (load_checkpoint(path) for path in (best, soup))
    assert second["task"] == "cross_view"
    assert all(torch.allclose(first["network"][key], second["network"][key]) for key in first["network"])
    train(world, tmp_path / "more", "--epochs_num", 1, "--hard_examples", "similarity", "--loss", "soft_margin")
    code, output = call("tools.compare", whole, tmp_path / "more", "--output", tmp_path / "compared.md")
    assert code == 0, output
    for part in ("street", "aerial"):
        given = ["--format", "torchscript", "--part", part, "--output", tmp_path / "x.ts"]
        code, output = call("tools.export", best, *given)
        assert code == 0 and "32 dimensions" in output, output
    given = ["--method", "street_to_aerial", "--dataset_folder", world, "--resume_model", best, "--epochs_num", 1]
    small = SMALL[SMALL.index("--image_size") : SMALL.index("--levels")] + SMALL[SMALL.index("--metres_per_pixel") :]
    small = small[: small.index("--epochs_num")]
    small += ["--output_folder", tmp_path / "started", "--iterations_per_epoch", 2]
    code, output = call("train.py", *given, *small)
    assert code == 0, output
    started = load_checkpoint(tmp_path / "started" / "best_model.pth")
    assert first["network"].keys() == started["network"].keys() and started["config"]["levels"] == 2


def test_two_processes_share_batches_and_cells(world: Path, whole: Path, tmp_path: Path):
    given = ["--method", "street_to_aerial", "--dataset_folder", world, "--output_folder", tmp_path / "run", *SMALL]
    hard = ["--hard_examples", "clusters", "--method_options", "scan=4", "--epochs_num", 2]
    code, output = in_processes(2, "train.py", *given, *hard, "--iterations_per_epoch", 4)
    assert code == 0 and "2 process(es)" in output, output
    code, output = in_processes(2, 
        "eval.py", "--resume_model", whole / "best_model.pth", "--dataset_folder", world, "--device", "cpu",
        "--precision", "fp32", "--num_workers", 0, "--output_folder", tmp_path / "e",
    )  # fmt: skip
    assert code == 0, output
    found, trained = results_of(tmp_path / "e")["town/test"], results_of(whole)["town/test"]
    assert found["R@10<50m"] == pytest.approx(trained["R@10<50m"])


def test_photos_elsewhere_and_without_a_position_are_counted(world: Path, tmp_path: Path):
    own = tmp_path / "own"
    own.mkdir()
    for part in ("tiles", "val"):
        (own / part).symlink_to(world / part)
    (own / "train").mkdir()
    for path in (world / "train").iterdir():
        (own / "train" / path.name).symlink_to(path)
    picture = next((world / "train").iterdir())
    (own / "train" / "nowhere.jpg").symlink_to(picture)
    (own / "train" / photo_name(*position(1.5, 0.5), 900)).symlink_to(picture)
    (own / "train" / photo_name(*position(0.5, 0.5), 901)).write_bytes(b"no picture")
    output = train(own, tmp_path / "run", "--epochs_num", 1, "--iterations_per_epoch", 6)
    assert "1 of 43 training photos have no position and are left out" in output
    assert "1 of 43 training photos lie outside of the region and are left out" in output
    assert "cannot be decoded" in output
    assert "No test set" in output


def test_mistakes_end_in_one_line(world: Path, tmp_path: Path):
    given = ["--method", "street_to_aerial", "--dataset_folder", world, *SMALL]
    empty, bare = tmp_path / "empty", tmp_path / "bare"
    for folder in (empty / "tiles", bare / "train"):
        folder.mkdir(parents=True)
    assert_mistakes(
        "train.py",
        [
            ([*given, "--augmentations", "horizontal_flip"], 2, "no aerial image shows the world in a mirror"),
            ([*given, "--self_supervised_weight", 1], 2, "--self_supervised_weight and --method street_to_aerial"),
            ([*given, "--N", 3], 2, "--N and --method street_to_aerial are in conflict"),
            ([*given, "--miner", "batch_hard"], 2, "choose with --hard_examples"),
            ([*given, "--loss", "cosface"], 2, "--loss cosface and --method street_to_aerial are in conflict"),
            ([*given, "--tiles", "nowhere"], 2, "--tiles nowhere: there is no such file or folder"),
            ([*given, "--cut_after", "stage1", "--aerial_backbone", "DINOv2_S"], 2, "--cut_after: stage1 is not a"),
            ([*given, "--aerial_size", 0], 2, "--aerial_size: 0 is out of range"),
            ([*given, "--shared_encoder", "--aerial_backbone", "ResNet50"], 2, "cannot share weights"),
            ([*given, "--aggregation_options", "heads=5"], 2, "does not divide 32 dimensions"),
            ([*given, "--method_options", "scan=0"], 2, "scan=0 is not a whole number above 0"),
            ([*given, "--batch_size", 41], 2, "41 is more than the"),
            ([*given, "--cache_features", "ram"], 2, "--cache_features and --method street_to_aerial"),
            (["--method", "street_to_aerial", "--dataset_folder", empty], 1, "contains no tiles ZOOM/COLUMN/ROW"),
            (["--method", "street_to_aerial", "--dataset_folder", bare], 2, "--tiles: contains no aerial images"),
            (["--dataset_folder", world, "--levels", 2], 2, "--levels is for --method street_to_aerial"),
            (["--dataset_folder", world, "--image_size", 48, 64], 2, "--image_size 48 64: training images of"),
        ],
    )
