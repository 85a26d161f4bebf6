import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from commons.errors import PlacewiseError
from metrics.metric import Metric
from reports.run_folders import KnownSettings, Run, find_runs
from reports.run_folders import read_run as read_run_with

CONFIG = {"dataset_folder": "/data/sf_xs", "backbone": "ResNet18", "fc_output_dim": 64, "epochs_num": 2, "seed": 0}
KNOWN = KnownSettings(
    without_effect=frozenset({"num_workers", "resume_train"}),
    data=("dataset_folder", "train_set_folder", "val_set_folder"),
    evaluation_defaults={"positive_dist_threshold": 25.0, "index": "flat"},
)
METRICS = "epoch,loss,images_per_second,seconds,val_R@1\n0,5.0,10,60,50\n1,4.0,20,30,60\n"


def read_run(folder: Path, **defaults: Any) -> Run:
    return read_run_with(folder, replace(KNOWN, defaults=defaults))


def write_training(folder: Path, results: dict | None = None, old: bool = False, **changes: Any) -> Path:
    """A folder as train.py leaves it; `old` as it did before run.json."""
    folder.mkdir(parents=True)
    config = CONFIG | changes
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text(METRICS)
    (folder / "results.json").write_text(json.dumps(results or {"sf_xs/test": {"R@1": 70.0, "R@5": 80.0}}))
    record = {
        "kind": "training",
        "config": config,
        "environment": {"git_commit": "abc"},
        "network": {"descriptor_dim": 64, "parameters": 2_500_000, "gflops": 1.5},
        "images_per_second": {"sf_xs/test": 100.0, "sf_xs/val": 50.0},
        "peak_memory_gib": {"cpu": 3.0, "gpu": 2.0},
    }
    if not old:
        (folder / "run.json").write_text(json.dumps(record))
    return folder


def write_evaluation(folder: Path, checkpoint: str | None, config: dict, results: dict, **settings: Any) -> Path:
    """A folder as eval.py leaves it."""
    folder.mkdir(parents=True)
    flags = {"dataset_folder": ["/data/tokyo_xs"], "resume_model": checkpoint, "seed": 0}
    (folder / "config.yaml").write_text(yaml.safe_dump(flags))
    (folder / "results.json").write_text(json.dumps(results))
    given = {"dataset_folder": ["/data/tokyo_xs"], "resume_model": checkpoint, "num_workers": 3} | settings
    record = {"kind": "evaluation", "config": config, "settings": given, "network": {"descriptor_dim": 64}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_training_run(tmp_path: Path):
    run = read_run(write_training(tmp_path / "a", num_workers=4, lr=0.1))
    assert run.settings == {
        "dataset_folder": "sf_xs",
        "backbone": "ResNet18",
        "fc_output_dim": 64,
        "epochs_num": 2,
        "lr": 0.1,
        "train_set_folder": None,
        "val_set_folder": None,
        "task": "place_recognition",
    }
    assert run.metric == Metric("R@1")
    assert (run.model, run.seed, run.commit) == (("a", 0), 0, "abc")
    assert run.figures == {
        ("sf_xs/test", "R@1"): 70.0,
        ("sf_xs/test", "R@5"): 80.0,
        "dimension": 64,
        "parameters": 2_500_000,
        "gflops": 1.5,
        "test_speed": 75.0,
        "training_seconds": 90.0,
        "training_speed": pytest.approx((10 * 60 + 20 * 30) / 90),
        "memory": 2.0,
    }
    assert run.epochs[1]["val_R@1"] == 60


def test_folder_of_an_older_version(tmp_path: Path):
    run = read_run(write_training(tmp_path / "a", old=True), hue=0.5, backbone="VGG16")
    assert (run.settings["hue"], run.settings["backbone"]) == (0.5, "ResNet18")
    assert run.figures["dimension"] == 64
    assert run.figures["training_seconds"] == 90
    assert not {"parameters", "gflops", "test_speed", "memory"} & run.figures.keys()


def test_untrained_networks_count_only_where_none_was_trained(tmp_path: Path):
    before = {"x/test, before training": {"R@1": 1.0, "R@5": 2.0}}
    trained = read_run(write_training(tmp_path / "a", before | {"x/test": {"R@1": 3.0, "R@5": 4.0}}))
    assert trained.figures[("x/test", "R@1")] == 3
    assert read_run(write_training(tmp_path / "b", before)).figures[("x/test", "R@1")] == 1


def add_to_record(folder: Path, **parts: Any) -> Path:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | parts))
    return folder


def test_a_run_says_its_task_its_metric_and_the_figures_to_show(tmp_path: Path):
    """Values that are not finite, and figures that are not to be shown, are left out."""
    results = {"toy/test": {"mean error": 3.5, "median error": 2.0, "queries": 7}, "toy/val": {"mean error": math.nan}}
    error = {"name": "mean error", "higher_is_better": False}
    record = {"task": "toy", "main_metric": error, "figures": ["median error", "mean error"]}
    run = read_run(add_to_record(write_training(tmp_path / "a", results), **record))
    assert run.metric == Metric("mean error", higher_is_better=False)
    assert run.settings["task"] == "toy"
    shown = [key for key in run.figures if isinstance(key, tuple)]
    assert shown == [("toy/test", "median error"), ("toy/test", "mean error")]
    few = read_run(add_to_record(write_training(tmp_path / "b", results), **record | {"figures": []}))
    assert [key for key in few.figures if isinstance(key, tuple)] == [("toy/test", "mean error")]


def test_equal_networks_of_two_tasks_are_no_repetitions(tmp_path: Path):
    results = {"x": {"R@1": 30.0}}
    place = read_run(write_evaluation(tmp_path / "p", None, {"backbone": "ResNet18"}, results))
    folder = write_evaluation(tmp_path / "t", None, {"backbone": "ResNet18"}, results)
    toy = read_run(add_to_record(folder, task="toy"))
    assert toy.settings == place.settings | {"task": "toy"}


def test_seed_and_settings_without_effect_are_no_settings(tmp_path: Path):
    run = read_run(write_training(tmp_path / "a", num_workers=4, resume_train="x", seed=3))
    assert not {"seed", "num_workers", "resume_train"} & run.settings.keys() and run.seed == 3


def test_evaluation_is_of_the_network_that_was_trained(tmp_path: Path):
    results = {"tokyo_xs/test": {"R@1": 30.0, "R@5": 40.0}}
    training = read_run(write_training(tmp_path / "a"))
    run = read_run(write_evaluation(tmp_path / "e", "logs/a/best_model.pth", CONFIG, results))
    assert (run.settings, run.model) == (training.settings, training.model)
    assert run.figures == {("tokyo_xs/test", "R@1"): 30.0, ("tokyo_xs/test", "R@5"): 40.0, "dimension": 64}
    last = read_run(write_evaluation(tmp_path / "l", "logs/a/last_checkpoint.pth", CONFIG, results, index="hnsw"))
    own = {"index (eval.py)": "hnsw", "checkpoint (eval.py)": "last_checkpoint.pth"}
    assert last.settings == training.settings | own
    soup = read_run(write_evaluation(tmp_path / "s", "soup.pth", CONFIG, results))
    assert soup.settings == training.settings | {"checkpoint (eval.py)": "soup.pth"}
    bare = read_run(write_evaluation(tmp_path / "b", "w/r18.pth", {"backbone": "ResNet18"}, results))
    assert (bare.settings, bare.model) == (
        {"backbone": "ResNet18", "weights": "r18.pth", "task": "place_recognition"},
        ("w/r18.pth", 0),
    )
    untrained = read_run(write_evaluation(tmp_path / "u", None, {"backbone": "ResNet18"}, results))
    assert (untrained.settings, untrained.model) == (
        {"backbone": "ResNet18", "epochs_num": 0, "task": "place_recognition"},
        ("", 0),
    )


def test_an_evaluation_that_measures_otherwise_than_the_training_did_stands_alone(tmp_path: Path):
    results, checkpoint = {"x": {"R@1": 30.0}}, "logs/a/best_model.pth"
    config = CONFIG | {"image_size": 512, "resize_test_imgs": False, "positive_dist_threshold": 25.0}

    def own(name: str, config: dict, **settings: Any) -> dict:
        folder = write_evaluation(tmp_path / name, checkpoint, config, results, **settings)
        found = read_run(folder).settings
        return {key: value for key, value in found.items() if key.endswith("(eval.py)")}

    assert own("same", config) == {}
    assert own("resized", config, image_size=512) == {"image_size (eval.py)": 512}
    assert own("as trained", config | {"resize_test_imgs": True}, image_size=512) == {}
    assert own("nearer", config | {"positive_dist_threshold": 50.0}) == {"positive_dist_threshold (eval.py)": 25.0}
    assert own("both", config | {"positive_dist_threshold": 50.0}, positive_dist_threshold=50.0) == {}


def test_a_checkpoint_named_from_inside_its_folder_is_of_that_run(tmp_path: Path):
    folder = write_evaluation(tmp_path / "e", "best_model.pth", CONFIG, {"x": {"R@1": 30.0}})
    add_to_record(folder, checkpoints=["/logs/a/best_model.pth"])
    assert read_run(folder).model == ("a", 0)


def test_find_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name in ("exp/b", "exp/a", "other/deep/c"):
        write_training(tmp_path / name)
    (tmp_path / "exp" / "b" / "preds").mkdir()
    unfinished = write_training(tmp_path / "exp" / "d")
    (unfinished / "results.json").unlink()
    a, b, c = tmp_path / "exp/a", tmp_path / "exp/b", tmp_path / "other/deep/c"
    assert find_runs([b, tmp_path / "exp"]) == [b, a]
    assert "exp/d is skipped" in caplog.text
    assert find_runs([tmp_path / "other"]) == [c]
    with pytest.raises(PlacewiseError, match="exp/d: has no results.json"):
        find_runs([unfinished])
    with pytest.raises(PlacewiseError, match="nowhere: there is no such folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(PlacewiseError, match="preds: is neither the folder of a run"):
        find_runs([b / "preds"])


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("results.json", "{", "results.json: cannot be read"),
        ("run.json", "[1]", "run.json: is damaged or was not written by a run"),
        ("config.yaml", "a: [", "config.yaml: cannot be read"),
        ("metrics.csv", "epoch,loss\n0,x\n", "metrics.csv, line 2"),
        ("metrics.csv", "epoch,loss\nnan,1\n", "metrics.csv, line 2"),
        ("results.json", '{"x": 3}', "a: results.json, run.json or config.yaml is damaged or was not written by a run"),
        ("results.json", '{"x": {"R@1": null}}', "is damaged or was not written by a run"),
        ("run.json", '{"main_metric": {"title": "R@1"}}', "is damaged or was not written by a run"),
        ("run.json", '{"network": 3}', "is damaged or was not written by a run"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, text: str, words: str):
    folder = write_training(tmp_path / "a")
    (folder / file).write_text(text)
    with pytest.raises(PlacewiseError, match=words):
        read_run(folder)
