import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from commons.errors import PlacewiseError
from reports.run_folders import find_runs, read_run

CONFIG = {"dataset_folder": "/data/sf_xs", "backbone": "ResNet18", "fc_output_dim": 64, "epochs_num": 2, "seed": 0}
METRICS = "epoch,loss,images_per_second,seconds,val_R@1\n0,5.0,10,60,50\n1,4.0,20,30,60\n"


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
    }
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
    run = read_run(write_training(tmp_path / "a", old=True), {"hue": 0.5, "backbone": "VGG16"})
    assert (run.settings["hue"], run.settings["backbone"]) == (0.5, "ResNet18")
    assert run.figures["dimension"] == 64
    assert run.figures["training_seconds"] == 90
    assert not {"parameters", "gflops", "test_speed", "memory"} & run.figures.keys()


def test_untrained_networks_count_only_where_none_was_trained(tmp_path: Path):
    before = {"x/test, before training": {"R@1": 1.0, "R@5": 2.0}}
    trained = read_run(write_training(tmp_path / "a", before | {"x/test": {"R@1": 3.0, "R@5": 4.0}}))
    assert trained.figures[("x/test", "R@1")] == 3
    assert read_run(write_training(tmp_path / "b", before)).figures[("x/test", "R@1")] == 1


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
    assert (bare.settings, bare.model) == ({"backbone": "ResNet18", "weights": "r18.pth"}, ("w/r18.pth", 0))
    untrained = read_run(write_evaluation(tmp_path / "u", None, {"backbone": "ResNet18"}, results))
    assert (untrained.settings, untrained.model) == ({"backbone": "ResNet18", "epochs_num": 0}, ("", 0))


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
    record = json.loads((folder / "run.json").read_text()) | {"checkpoints": ["/logs/a/best_model.pth"]}
    (folder / "run.json").write_text(json.dumps(record))
    assert read_run(folder).model == ("a", 0)


def test_find_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name in ("exp/b", "exp/a", "other/deep/c"):
        write_training(tmp_path / name)
    (tmp_path / "exp" / "b" / "preds").mkdir()
    unfinished = write_training(tmp_path / "exp" / "d")
    (unfinished / "results.json").unlink()
    a, b, c = tmp_path / "exp/a", tmp_path / "exp/b", tmp_path / "other/deep/c"
    assert find_runs([b, tmp_path / "exp"]) == [b, a]
    assert "exp/d is left out" in caplog.text
    assert find_runs([tmp_path / "other"]) == [c]
    with pytest.raises(PlacewiseError, match="exp/d: has no results.json"):
        find_runs([unfinished])
    with pytest.raises(PlacewiseError, match="nowhere: there is no such folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(PlacewiseError, match="neither a run's folder"):
        find_runs([b / "preds"])


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("results.json", "{", "results.json: cannot be read"),
        ("run.json", "[1]", "run.json: is not what a run writes"),
        ("config.yaml", "a: [", "config.yaml: cannot be read"),
        ("metrics.csv", "epoch,loss\n0,x\n", "metrics.csv, line 2"),
        ("metrics.csv", "epoch,loss\nnan,1\n", "metrics.csv, line 2"),
        ("results.json", '{"x": 3}', "a: results.json, run.json or config.yaml is not what a run writes"),
        ("results.json", '{"x": {"R@1": null}}', "is not what a run writes"),
        ("run.json", '{"network": 3}', "is not what a run writes"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, text: str, words: str):
    folder = write_training(tmp_path / "a")
    (folder / file).write_text(text)
    with pytest.raises(PlacewiseError, match=words):
        read_run(folder)
