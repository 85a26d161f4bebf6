import json
from pathlib import Path

import pytest
import yaml

from commons import runs
from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import PlacewiseError, UsageError


def test_dated_folders_never_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folders = {runs.make_run_folder("exp", None) for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.parent == Path("logs/exp") for folder in folders)
    assert "torch " in (next(iter(folders)) / "environment.txt").read_text()


def test_a_training_run_is_not_overwritten(tmp_path: Path):
    (tmp_path / "last_checkpoint.pth").touch()
    with pytest.raises(UsageError, match="--resume_train"):
        runs.check_run_folder("exp", str(tmp_path))
    runs.check_run_folder("exp", str(tmp_path), resuming=True)
    assert runs.make_run_folder("exp", str(tmp_path)) == tmp_path


def test_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(PlacewiseError, match="`output_folder`: .*run cannot be written .*file is a file"):
        runs.check_run_folder("exp", str(tmp_path / "file" / "run"))
    with pytest.raises(PlacewiseError, match="`save_dir`"):
        runs.check_run_folder(str(tmp_path / "file"), None)
    runs.check_run_folder("exp", str(tmp_path / "to" / "come"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_config_and_metrics(tmp_path: Path):
    runs.save_config({"M": 10, "lr": 1e-5, "name": "ü"}, tmp_path)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8")) == {"M": 10, "lr": 1e-5, "name": "ü"}
    runs.save_metrics([{"epoch": 0, "loss": 2.5}, {"epoch": 1, "loss": 2.0}], tmp_path / "metrics.csv")
    assert (tmp_path / "metrics.csv").read_text().split() == ["epoch,loss", "0,2.5", "1,2.0"]
    runs.save_metrics([{"epoch": 0, "loss": 2.5}, {"epoch": 1, "loss": 2.0, "lr": 0.1}], tmp_path / "metrics.csv")
    assert (tmp_path / "metrics.csv").read_text().split() == ["epoch,loss,lr", "0,2.5,", "1,2.0,0.1"]


def test_record_keeps_what_stands_there(tmp_path: Path):
    folder = runs.make_run_folder("exp", str(tmp_path / "run"))
    runs.save_record(folder, kind="training", speed=1.0)
    runs.save_record(folder, speed=2.0)
    record = json.loads((folder / "run.json").read_text())
    assert (record["kind"], record["speed"]) == ("training", 2.0)
    assert record["environment"]["packages"]["torch"] and record["environment"]["cpu_cores"] >= 1


def test_a_prolonged_run_keeps_its_flags_but_those_that_are_others_now(tmp_path: Path):
    """Its checkpoint also has what followed from --resume_model, here the backbone, which is no flag beside it."""
    runs.save_config({"resume_model": "a.pth", "epochs_num": 2, "dataset_folder": "demo"}, tmp_path)
    before = {"resume_model": "a.pth", "epochs_num": 2, "dataset_folder": "cache/demo", "backbone": "VGG16"}
    save_checkpoint({"network": {}, "config": before, "epoch": 1}, tmp_path / "best_model.pth")
    now = before | {"epochs_num": 4}
    kept = runs.prolong(tmp_path, now, before, now | {"output_folder": str(tmp_path)})
    assert kept == {"resume_model": "a.pth", "epochs_num": 4, "dataset_folder": "demo"}
    best = load_checkpoint(tmp_path / "best_model.pth")
    assert best["config"]["epochs_num"] == 4 and best["epoch"] == 1
    written = (tmp_path / "best_model.pth").stat()
    runs.prolong(tmp_path, now, now, now | {"resume_train": "last_checkpoint.pth", "output_folder": str(tmp_path)})
    assert (tmp_path / "best_model.pth").stat() == written


def test_a_saved_configuration_is_read_back(tmp_path: Path):
    config = {"lr": 1e-5, "aggregation_options": {"grid": 7}, "index": None, "name": "ü: #"}
    runs.save_config(config, tmp_path)
    assert runs.read_config(tmp_path / "config.yaml") == config
