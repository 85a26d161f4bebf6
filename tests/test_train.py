"""train.py as a user runs it, on tiny data."""

import csv
import json
import os
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commons.checkpoints import save_checkpoint
from commons.errors import UsageError, in_flags
from datasets.decoding import ImageFiles
from datasets.reading import read_images
from methods import METHODS
from methods.checks import check_batches
from methods.extras import build_extras
from model.network import GeoLocalizationNet
from model.pretrained import load_network
from model.published import PUBLISHED
from parser import computed, parse_train_settings
from reports.run_folders import read_run
from tasks.networks import build_network
from tests.conftest import EAST, NORTH, sf_name, write_city
from tests.helpers import TINY, Started, assert_mistakes, call, in_processes
from tools.compare import known_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs of 20 iterations that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    code, output = call("train.py", *flags(city, folder), "--num_preds_to_save", 2)
    assert code == 0, output
    return folder


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


KILLED = """
import sys, time
from pathlib import Path
import train
from training.updates import Updates

marker = Path(sys.argv.pop())
take = Updates.take

def stopping(self, loss, epoch, iteration):
    take(self, loss, epoch, iteration)
    if (epoch, iteration) == (1, 7):
        marker.touch()
        time.sleep(600)

Updates.take = stopping
train.main()
"""


def test_killed_run_resumes_bit_for_bit(city: Path, finished: Path, tmp_path: Path):
    """SIGKILL after the seventh iteration of the second epoch: the run continues where the first epoch ended."""
    (tmp_path / "killed.py").write_text(KILLED)
    marker = tmp_path / "reached"
    process = Started(tmp_path / "killed.py", *flags(city, tmp_path / "run"), marker)
    while not marker.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    resume = ["--resume_train", tmp_path / "run" / "last_checkpoint.pth"]
    assert_mistakes("train.py", [(resume, 2, f"is in use by another run (process {process.pid} on")])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stopped = torch.load(tmp_path / "run" / "last_checkpoint.pth", weights_only=True)["position"]
    assert (stopped["epoch"], stopped["iteration"]) == (1, 0)
    code, output = call("train.py", *resume)
    assert code == 0, output
    assert_same_end(tmp_path / "run", finished)


def test_of_two_trainings_in_one_folder_the_second_ends_before_it_reads_data(city: Path, tmp_path: Path):
    """Started together with different seeds: one trains, the other names the folder."""
    processes = [
        Started("train.py", *flags(city, tmp_path / "run"), "--epochs_num", 1, "--seed", seed) for seed in (1, 2)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    (loser,) = (output for process, output in zip(processes, outputs, strict=True) if process.returncode)
    last = loser.strip().splitlines()[-1]
    assert last.startswith("error: --output_folder: ") and str(tmp_path / "run") in last, loser
    assert "Classes" not in loser and "Traceback" not in loser
    config = torch.load(tmp_path / "run" / "best_model.pth", weights_only=True)["config"]
    assert config["seed"] == 1 + [process.returncode for process in processes].index(0)


def test_cached_images_train_the_same_network(city: Path, finished: Path, tmp_path: Path):
    code, output = call("train.py", *flags(city, tmp_path / "run"), "--cache_images", "ram")
    assert code == 0, output
    assert output.count("are in memory") == 3
    assert_same_end(tmp_path / "run", finished)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_keeps_its_position_and_resumes_bit_for_bit(
    city: Path, finished: Path, tmp_path: Path, number: signal.Signals
):
    """The signal goes to all processes of the run, as from a terminal or a scheduler; one worker decodes."""
    folder = tmp_path / "run"
    process = Started("train.py", *flags(city, folder), "--num_workers", 1)
    process.wait_for(r"epoch 1: .* [3-9]/20")
    os.killpg(process.pid, number)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"--resume_train {folder}/last_checkpoint.pth" in rest
    position = torch.load(folder / "last_checkpoint.pth", weights_only=True)["position"]
    assert position["epoch"] == 1
    assert 0 < position["iteration"] < 20
    code, output = call("train.py", "--resume_train", folder / "last_checkpoint.pth")
    assert code == 0, output
    assert_same_end(folder, finished)


def test_two_processes_train_and_measure_together(city: Path, finished: Path, tmp_path: Path):
    """Same classes drawn in total, same recalls from the same weights, one writer."""
    short = ["--freeze_batch_norm", "--epochs_num", 2, "--iterations_per_epoch", 8]
    code, output = in_processes(2, "train.py", *flags(city, tmp_path / "run"), *short)
    assert code == 0, output
    assert output.count("Classes: ") == 1
    alone = tmp_path / "alone"
    code, output = call("train.py", *flags(city, alone), *short)
    assert code == 0, output
    assert len(rows(tmp_path / "run")) == 2
    # Shares of a batch see other augmentation draws, so losses agree closely but not exactly.
    for together, single in zip(rows(tmp_path / "run"), rows(alone), strict=True):
        assert float(together["loss"]) == pytest.approx(float(single["loss"]), rel=0.15)
    common = ["--dataset_folder", city, "--device", "cpu", "--precision", "fp32", "--num_workers", 0]
    model = ["--resume_model", finished / "best_model.pth"]
    results = []
    for count, name in ((1, "one"), (2, "two")):
        code, output = in_processes(count, "eval.py", *common, *model, "--output_folder", tmp_path / name)
        assert code == 0, output
        results.append(json.loads((tmp_path / name / "results.json").read_text()))
    # Confidence follows the similarities, which other batches round differently.
    rounded = {"confidence": None, "calibration": None}
    figures = [{name: own | rounded for name, own in found.items()} for found in results]
    assert figures[0] == figures[1]


SWAPPED = """
import os, sys
from pathlib import Path
import torch
import train

rank = int(os.environ["RANK"])
folder = Path(sys.argv.pop())
import methods.preparation
import tasks.place_recognition
from model.network import GeoLocalizationNet
evaluate, build_extras = tasks.place_recognition.evaluate, methods.preparation.build_extras
learned = {}

def kept(*given):
    extras = build_extras(*given)
    learned.update(extras.losses.state_dict(keep_vars=True))
    return extras

class Marked(methods.preparation.AveragedModel):
    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        self.module.__dict__["averaged"] = True

def spy(network, *given, **options):
    if not (folder / f"{rank}.pth").exists():
        projector = {key: value.detach() for key, value in learned.items()}
        torch.save(network.state_dict() | projector, folder / f"{rank}.pth")
    return evaluate(network, *given, **options)

GeoLocalizationNet.__hash__ = lambda self: ("averaged" in self.__dict__) ^ rank
methods.preparation.AveragedModel, methods.preparation.build_extras = Marked, kept
tasks.place_recognition.evaluate = spy
train.main()
"""


def test_every_process_has_the_same_averaged_network_and_projector(city: Path, tmp_path: Path):
    """Networks have other hashes in each process, so the order of a set is another: buffers must not follow it."""
    (tmp_path / "swapped.py").write_text(SWAPPED)
    short = ["--epochs_num", 1, "--iterations_per_epoch", 4, "--accumulate", 2, "--ema", 0.9]
    short += ["--self_supervised_weight", 0.1, "--self_supervised_loss_options", "width=8"]
    code, output = in_processes(2, tmp_path / "swapped.py", *flags(city, tmp_path / "run"), *short, tmp_path)
    assert code == 0, output
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in (0, 1))
    assert "vicreg.projector.0.weight" in first
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_same_seed_same_weights_and_other_seed_other_weights(city: Path, tmp_path: Path):
    short = ["--epochs_num", 1, "--iterations_per_epoch", 2]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        code, output = call("train.py", *flags(city, tmp_path / name), *short, "--seed", seed)
        assert code == 0, output
    a, b, c = (weights(tmp_path / name / "last_checkpoint.pth") for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


def test_start_from_a_model_and_from_pca(city: Path, finished: Path, tmp_path: Path):
    short = ["--epochs_num", 0, "--output_folder", tmp_path / "from_model", "--num_workers", 0, "--device", "cpu"]
    common = ["--dataset_folder", city, "--min_images_per_class", 2, "--groups_num", 1, "--batch_size", 4]
    code, output = call("train.py", *common, *short, "--resume_model", finished / "best_model.pth")
    assert code == 0, output
    before, after = weights(finished / "best_model.pth"), weights(tmp_path / "from_model" / "best_model.pth")
    assert all(torch.equal(before[key], after[key]) for key in before)
    code, output = call("train.py", *flags(city, tmp_path / "pca"), "--epochs_num", 0, "--fc_init", "pca")
    assert code == 0, output
    assert "PCA of the features of 32 images" in output


def test_start_from_a_published_network(city: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The run's checkpoints say all of it: backbone, head, and the mean of images that its weights want."""
    name = "cosplace-resnet18-32"
    entry = PUBLISHED[name]
    mean = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 4.0]}
    monkeypatch.setitem(PUBLISHED, name, replace(entry, network={**entry.network, **mean}))
    source = GeoLocalizationNet("ResNet18", 32).state_dict()
    torch.save(source, tmp_path / "given.pth")
    given = ["--pretrained_model", name, "--pretrained_model_file", str(tmp_path / "given.pth")]
    settings = parse_train_settings(["--dataset_folder", "x", *given])
    _, config, _ = build_network(settings.network, Accelerator(cpu=True))
    config = computed(settings) | config
    save_checkpoint({"network": source, "config": config, "position": 0}, tmp_path / "last_checkpoint.pth")
    network, config = load_network(tmp_path / "last_checkpoint.pth")
    assert (config["backbone"], config["fc_output_dim"], config["aggregation"]) == ("ResNet18", 32, "gem")
    assert network.mean.flatten().tolist() == pytest.approx(mean["mean"])
    (tmp_path / "given.pth").unlink()
    settings = parse_train_settings(["--resume_train", str(tmp_path / "last_checkpoint.pth")])
    again, _, _ = build_network(settings.network, Accelerator(cpu=True), config)
    assert again.std.flatten().tolist() == [1, 2, 4]


def test_training_from_a_published_network(city: Path, tmp_path: Path):
    torch.save(GeoLocalizationNet("ResNet18", 32).state_dict(), tmp_path / "given.pth")
    given = ["--pretrained_model", "cosplace-resnet18-32", "--pretrained_model_file", tmp_path / "given.pth"]
    common = ["--dataset_folder", city, "--min_images_per_class", 2, "--groups_num", 1, "--batch_size", 4]
    short = ["--epochs_num", 0, "--output_folder", tmp_path / "run", "--num_workers", 0, "--device", "cpu"]
    code, output = call("train.py", *common, *short, *given, "--image_size", 64, "--iterations_per_epoch", 2)
    assert code == 0, output
    before, after = torch.load(tmp_path / "given.pth"), weights(tmp_path / "run" / "best_model.pth")
    assert all(torch.equal(before[key], after[key]) for key in before)
    code, output = call("train.py", "--resume_train", tmp_path / "run" / "last_checkpoint.pth", "--epochs_num", 1)
    assert code == 0, output
    after = weights(tmp_path / "run" / "best_model.pth")
    assert not torch.equal(before["aggregation.3.weight"], after["aggregation.3.weight"])


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


def test_netvlad_starts_from_the_data_resumes_and_starts_another_run(city: Path, tmp_path: Path):
    run = tmp_path / "run"
    head = ["--aggregation", "netvlad", "--aggregation_options", "clusters=3", "--iterations_per_epoch", 2]
    code, output = call("train.py", *flags(city, run), *head, "--epochs_num", 0)
    assert code == 0, output
    assert "The clusters are initialised by k-means of the local features of 32 images" in output
    code, output = call("train.py", "--resume_train", run / "last_checkpoint.pth", "--epochs_num", 1)
    assert code == 0, output
    assert "k-means" not in output
    network, config = load_network(run / "best_model.pth")
    assert (config["aggregation"], config["aggregation_options"]) == ("netvlad", {"clusters": 3})
    assert network.aggregation.centroids.shape[0] == 3
    settings = parse_train_settings(["--dataset_folder", "x", "--resume_model", str(run / "best_model.pth")])
    again, config, _ = build_network(settings.network, Accelerator(cpu=True))
    options = (config["aggregation"], config["aggregation_options"], config["fc_output_dim"])
    assert options == ("netvlad", {"clusters": 3}, 16)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in again.state_dict().items())


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


def test_two_processes_train_with_a_metric_loss(city: Path, tmp_path: Path):
    method = ["--method", "gsv", "--method_options", "images_per_place=2", "--batch_size", 8, "--freeze_batch_norm"]
    short = ["--epochs_num", 1, "--iterations_per_epoch", 3]
    code, output = in_processes(2, "train.py", *flags(city, tmp_path / "run"), *method, *short)
    assert code == 0, output
    assert len(rows(tmp_path / "run")) == 1


def test_a_cut_network_is_trained_and_taken_over(city: Path, tmp_path: Path):
    schedule = ["--epochs_num", 1, "--iterations_per_epoch", 2]
    own = ["--cut_after", "features.4", "--freeze", "features.0,features.2"]
    code, output = call("train.py", *flags(city, tmp_path / "a"), *schedule, *own)
    assert code == 0, output
    assert "MobileNet_V3_Small cut after features.4" in output
    best = tmp_path / "a" / "best_model.pth"
    assert {key.split(".")[2] for key in weights(best) if key.startswith("backbone.")} == set("01234")
    other = ["--dataset_folder", city, "--output_folder", tmp_path / "b", *TINY[6:], *schedule]
    code, output = call("train.py", *other, "--resume_model", best, "--freeze", "features.3")
    assert code == 0, output
    before, after = weights(best), weights(tmp_path / "b" / "best_model.pth")
    changed = {
        key.split(".")[2] for key in before if key.endswith("weight") and not torch.equal(before[key], after[key])
    }
    assert {"0", "1", "2", "4"} <= changed and "3" not in changed


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


def test_a_run_of_an_earlier_version_goes_on(finished: Path, tmp_path: Path):
    """Its checkpoint lacks the schedule, what stands beside the method, the best epoch, and the rate in its history."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    checkpoint = torch.load(folder / "last_checkpoint.pth", weights_only=True)
    for part in ("schedule", "extras", "targets"):
        del checkpoint[part]
    del checkpoint["position"]["best_epoch"]
    for row in checkpoint["position"]["history"]:
        del row["lr"]
    torch.save(checkpoint, folder / "last_checkpoint.pth")
    resume = ["--resume_train", folder / "last_checkpoint.pth", "--epochs_num", 4]
    code, output = call("train.py", *resume, "--patience", 2)
    assert code == 0, output
    assert [bool(row["lr"]) for row in rows(folder)] == [False, False, False, True]
    code, output = call("train.py", *resume, "--target_folder", folder)
    assert code == 2 and "adapts to no images" in output, output


def test_resume_with_other_images_is_refused(finished: Path, tmp_path: Path):
    other = write_city(tmp_path / "other", classes=5)
    code, output = call(
        "train.py", "--resume_train", finished / "last_checkpoint.pth", "--dataset_folder", other, "--epochs_num", 4
    )
    assert code == 1, output
    assert "training images changed" in output
