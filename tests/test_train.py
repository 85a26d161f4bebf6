"""train.py as a user runs it, on tiny data."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commons.errors import UsageError, in_flags
from datasets.decoding import ImageFiles
from datasets.reading import read_images
from methods import METHODS
from methods.checks import check_batches
from methods.extras import build_extras
from parser import parse_train_settings
from reports.run_folders import read_run
from tests.conftest import EAST, NORTH, sf_name, write_city
from tests.helpers import assert_mistakes, call
from tests.training_runs import assert_same_end, flags, rows, weights
from tools.compare import known_settings

pytestmark = pytest.mark.slow


def test_run_folder_is_complete(city: Path, finished: Path):
    names = {path.name for path in finished.iterdir()}
    assert {
        "config.yaml", "environment.txt", "info.log", "debug.log", "metrics.csv", "results.json", "results.md",
        "training_curves.png", "best_model.pth", "last_checkpoint.pth", "preds", "run.json", "predictions.parquet",
    } <= names  # fmt: skip
    assert not any(name.startswith(".") for name in names)
    results = json.loads((finished / "results.json").read_text())
    test = next(value for name, value in results.items() if name.endswith("/test"))
    assert {"R@1", "R@5", "R@10", "R@20", "R@100", "database", "queries"} <= test.keys()
    assert (test["database"], test["queries"]) == (6, 6)
    assert yaml.safe_load((finished / "config.yaml").read_text())["iterations_per_epoch"] == 20
    assert [row["epoch"] for row in rows(finished)] == ["0", "1", "2"]
    assert (finished / "preds" / "index.html").is_file()
    events = EventAccumulator(str(finished)).Reload()
    recalls = [(epoch, float(row["val_R@1"])) for epoch, row in enumerate(rows(finished))]
    assert [(event.step, pytest.approx(event.value)) for event in events.Scalars("val_R@1")] == recalls
    assert [event.step for event in events.Scalars(f"{city.name}/test, R@1")] == [3]
    record = json.loads((finished / "run.json").read_text())
    assert (record["kind"], record["network"]["descriptor_dim"], record["config"]["batch_size"]) == ("training", 16, 4)
    assert record["images_per_second"].keys() == {next(name for name in results if name.endswith("/test"))}
    run = read_run(finished, known_settings())
    assert {"parameters", "gflops", "test_speed", "training_speed", "training_seconds", "memory"} <= run.figures.keys()
    again = parse_train_settings(["--config", str(finished / "config.yaml")])
    assert (again.training.image_size, again.run.output_folder) == (64, None)


def write_red_city(folder: Path) -> Path:
    """Writes eight places that differ in how red they are; green and blue are drawn anew for each picture."""
    draw = np.random.default_rng(0)

    def write(path: Path, place: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        red, (green, blue) = 10 + 30 * place, draw.integers(0, 256, 2)
        pixels = np.full((32, 32, 3), (red, green, blue)) + draw.normal(0, 8, (32, 32, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)

    for place in range(8):
        east = EAST + 50 * place
        for _ in range(8):
            write(folder / "train" / sf_name(east + draw.uniform(1, 9), NORTH + draw.uniform(1, 9), 10), place)
        for part in ("val", "test"):
            write(folder / part / "database" / sf_name(east + 3, NORTH, 10), place)
            for number in range(4):
                write(folder / part / "queries" / sf_name(east + 5 + number, NORTH, 12), place)
    return folder


def test_the_network_learns(tmp_path: Path):
    """What tells the places apart has to be learned: the loss falls, and the right place comes first."""
    city = write_red_city(tmp_path / "red")
    network = ["--backbone", "ResNet18", "--cut_after", "layer1", "--train_all_layers", "--pretrained", "none"]
    length = ["--epochs_num", 2, "--iterations_per_epoch", 40, "--batch_size", 8, "--image_size", 32, "--lr", 1e-3]
    rest = ["--groups_num", 1, "--min_images_per_class", 2, "--num_workers", 0, "--fc_output_dim", 8]
    rest += ["--device", "cpu", "--precision", "fp32", "--augmentations", "none", "--test_untrained"]
    run = ["--dataset_folder", city, "--output_folder", tmp_path / "run"]
    code, output = call("train.py", *run, *network, *length, *rest)
    assert code == 0, output
    losses = [float(row["loss"]) for row in rows(tmp_path / "run")]
    assert losses[1] < losses[0] / 2
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["red/test, before training"]["R@1"] < 40 and results["red/test"]["R@1"] > 75, results


def test_cached_images_train_the_same_network(city: Path, finished: Path, tmp_path: Path):
    code, output = call("train.py", *flags(city, tmp_path / "run"), "--cache_images", "ram")
    assert code == 0, output
    assert output.count("are in memory") == 3
    assert_same_end(tmp_path / "run", finished)


def test_same_seed_same_weights_and_other_seed_other_weights(city: Path, tmp_path: Path):
    short = ["--epochs_num", 1, "--iterations_per_epoch", 2]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        code, output = call("train.py", *flags(city, tmp_path / name), *short, "--seed", seed)
        assert code == 0, output
    a, b, c = (weights(tmp_path / name / "last_checkpoint.pth") for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


def test_mistakes_end_in_one_line(city: Path, finished: Path, tmp_path: Path):
    mistakes = [
        (["--batch_size", 64], 2, "lower --batch_size to 8"),
        (["--min_images_per_class", 50], 2, "--min_images_per_class"),
        (["--groups_num", 3], 2, "--groups_num 1"),
        (["--train_set_folder", "/nowhere"], 2, "/nowhere"),
        (["--lr", "1e30"], 1, "--lr"),
        (["--index", "ivfpq"], 2, "use flat"),
        (["--loss", "supcon"], 2, "--method gsv"),
        (["--matryoshka", "4,16"], 2, "--matryoshka: 16 must be below the 16 dimensions of the descriptor"),
        (["--method", "gsv", "--batch_size", 6], 2, "raise it to 8"),
        (["--method", "gsv", "--batch_size", 40], 2, "lower --batch_size to 32"),
        (["--method", "eigenplaces", "--N", 1], 2, "too few for half of --batch_size 4"),
        (["--output_folder", finished], 2, "--resume_train"),
        (["--fc_output_dim", 40, "--fc_init", "pca"], 2, "--fc_init: 32 images with 576 channels"),
        (["--target_folder", tmp_path, "--adaptation", "fourier"], 1, "contains no image"),
        (["--num_trainable_blocks", 0, "--fc_output_dim", 0, "--aggregation", "avg"], 2, "no layer of the network"),
    ]
    at_work = [changes[0] for changes, _, _ in mistakes].index("--lr")
    mistakes = [
        ([*flags(city, tmp_path / f"run{number}"), *changes], code, words)
        for number, (changes, code, words) in enumerate(mistakes)
    ]
    assert_mistakes("train.py", mistakes)
    assert [path.name for path in tmp_path.glob("run*")] == [f"run{at_work}"]


@pytest.mark.parametrize(
    ("changes", "processes", "words"),
    [
        (["--method", "gsv", "--method_options", "images_per_place=1"], 1, "use 2 or more, or --method cosplace"),
        (["--method", "gsv", "--batch_size", "30"], 1, "not a multiple of 4"),
        (["--method", "gsv", "--batch_size", "8"], 2, "raise it to 16"),
        (["--method", "eigenplaces", "--batch_size", "6"], 2, "make it a multiple of 4"),
        (["--method", "eigenplaces", "--method_options", "lambda_lat=0,lambda_front=0"], 1, "nothing would be trained"),
        (["--batch_size", "5"], 2, "cannot be shared by 2 processes"),
        (["--method", "selfsup", "--batch_size", "5"], 2, "cannot be shared by 2 processes"),
        (["--method", "selfsup", "--batch_size", "2"], 2, "two views .* raise it to 4"),
        (["--batch_size", "1", "--adaptation", "coral", "--target_folder", "."], 1, "coral .* raise it to 2"),
    ],
)
def test_batches_that_cannot_be_trained_with_are_refused(changes: list[str], processes: int, words: str):
    settings = parse_train_settings(["--dataset_folder", "x", *changes])
    with pytest.raises(UsageError) as error:
        check_batches(settings, processes)
    assert re.search(words, in_flags(str(error.value)))


def test_refusals_come_before_what_takes_long(city: Path, tmp_path: Path):
    """Batches are looked at before files, classes before images are cached."""
    small = ["--method", "gsv", "--method_options", "images_per_place=1", "--train_set_folder", "/nowhere"]
    large = ["--batch_size", 64, "--cache_images", "disk", "--image_size", 65]
    mistakes = [
        ([*flags(city, tmp_path / "a"), *small], 2, "use 2 or more, or --method cosplace"),
        ([*flags(city, tmp_path / "b"), *large], 2, "lower --batch_size to 8"),
    ]
    outputs = assert_mistakes("train.py", mistakes)
    assert "caching" not in outputs[1]


def test_target_images_are_not_drawn_in_the_order_of_the_training_images(city: Path):
    photos = read_images(city / "train")
    flags = ["--dataset_folder", "x", "--method", "selfsup", "--self_supervised_loss_options", "width=8"]
    target = ["--target_folder", str(city / "train"), "--adaptation", "fourier", "--num_workers", "0"]
    settings = parse_train_settings([*flags, *target])
    extras = build_extras(settings, 4, ImageFiles(photos, 64), Accelerator(cpu=True), decoder=None)
    length = (settings.training.batch_size, settings.training.iterations_per_epoch)
    own = METHODS["selfsup"](places=photos).sampler(*length, settings.run.seed)
    drawn, targets = ([draw.row for draw in next(iter(each))] for each in (own, extras.targets.sampler))
    assert sorted(drawn) == sorted(targets) == list(range(32))
    assert drawn != targets


def test_images_without_heading_and_damaged_images(tmp_path: Path):
    city = write_city(tmp_path / "city")
    images = sorted((city / "train").iterdir())
    for image in images[:2]:
        image.write_bytes(b"torn")
    code, output = call("train.py", *flags(city, tmp_path / "run"))
    assert code == 1
    assert "cannot be decoded" in output.strip().splitlines()[-1]
    for image in images:
        image.rename(image.with_name(re.sub(r"@@\d{3}@@", "@@@@", image.name)))
    code, output = call("train.py", *flags(city, tmp_path / "run2"))
    assert code == 1
    assert "no heading" in output.strip().splitlines()[-1]


def test_other_methods_learn_and_resume_bit_for_bit(city: Path, tmp_path: Path):
    methods = {
        "gsv": ["--method", "gsv", "--method_options", "images_per_place=2"],
        "matryoshka": ["--matryoshka", "4,9"],
        "eigenplaces": ["--method", "eigenplaces", "--method_options", "tolerance=180", "--M", 10, "--N", 1],
    }
    commands = []
    for name, method in methods.items():
        whole, halves = tmp_path / name, tmp_path / f"{name}_halves"
        schedule = ["--iterations_per_epoch", 10, "--groups_num", 0, *method]
        commands += [
            [*flags(city, whole), *schedule, "--epochs_num", 2],
            [*flags(city, halves), *schedule, "--epochs_num", 1],
            ["--resume_train", halves / "last_checkpoint.pth", "--epochs_num", 2],
        ]
    for command in commands:
        code, output = call("train.py", *command)
        assert code == 0, output
    for name in methods:
        whole, halves = tmp_path / name, tmp_path / f"{name}_halves"
        losses = [float(row["loss"]) for row in rows(whole)]
        assert losses[1] < losses[0]
        first, second = (torch.load(run / "last_checkpoint.pth", weights_only=True) for run in (whole, halves))
        assert all(torch.equal(first["network"][key], second["network"][key]) for key in first["network"])
        assert [row["loss"] for row in rows(whole)] == [row["loss"] for row in rows(halves)]


def test_optimization_resumes_bit_for_bit_and_patience_ends_a_run(city: Path, tmp_path: Path):
    whole, halves, patient = (tmp_path / name for name in ("whole", "halves", "patient"))
    optimizer = ["--optimizer", "adamw", "--weight_decay", 0.01, "--layer_decay", 0.5, "--clip_grad", 1]
    schedule = [
        "--scheduler",
        "multistep",
        "--milestones",
        1,
        "--warmup_iterations",
        5,
        "--accumulate",
        2,
        "--ema",
        0.9,
    ]
    commands = [
        [*flags(city, whole), *optimizer, *schedule, "--iterations_per_epoch", 6, "--epochs_num", 2],
        [*flags(city, halves), *optimizer, *schedule, "--iterations_per_epoch", 6, "--epochs_num", 1],
        ["--resume_train", halves / "last_checkpoint.pth", "--epochs_num", 2],
        [*flags(city, patient), "--lr", 1e-12, "--iterations_per_epoch", 2, "--epochs_num", 9, "--patience", 2],
    ]
    outputs = [call("train.py", *command) for command in commands]
    assert all(code == 0 for code, _ in outputs), outputs
    assert_same_end(whole, halves)
    first, second = (torch.load(run / "last_checkpoint.pth", weights_only=True) for run in (whole, halves))
    averages = [{key: value for key, value in part["average"].items()} for part in (first, second)]
    assert all(torch.equal(averages[0][key], averages[1][key]) for key in averages[0])
    lrs = [float(row["lr"]) for row in rows(whole)]
    assert lrs[1] == pytest.approx(lrs[0] / 10)
    kept = {f"module.{key}": value for key, value in weights(whole / "best_model.pth").items()}
    assert not torch.equal(kept["module.aggregation.3.weight"], first["network"]["aggregation.3.weight"])
    assert len(rows(patient)) == 3 and "No better validation R@1 in 2 epochs" in outputs[-1][1]
