import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from commons import runs
from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.claims import FILE
from commons.errors import ArgumentError, PlacewiseError
from tests.helpers import ROOT

# Waits until all processes are there, claims a run's folder, and keeps it until its standard input is closed.
PROGRAM = """
import os, sys, time
from pathlib import Path
from commons import runs
from commons.errors import run

def main():
    barrier, count, save_dir, output_folder, seed = Path(sys.argv[1]), *sys.argv[2:]
    (barrier / seed).touch()
    while len(list(barrier.iterdir())) < int(count):
        pass
    with runs.claimed_run_folder(save_dir, output_folder or None) as folder:
        print(folder, flush=True)
        sys.stdin.read()
        (folder / "last_checkpoint.pth").write_text(seed)

run(main)
"""


def start_two(tmp_path: Path, output_folder: Path | str) -> list[subprocess.Popen]:
    """Two runs that start together, with seeds 1 and 2."""
    (tmp_path / "barrier").mkdir()
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    flags = ["2", str(tmp_path / "logs"), str(output_folder)]
    return [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / "barrier"), *flags, seed], **pipes)
        for seed in ("1", "2")
    ]


@pytest.mark.slow
def test_of_two_runs_that_start_together_with_one_output_folder_one_goes_on(tmp_path: Path):
    processes = start_two(tmp_path, tmp_path / "run")
    printed = [process.stdout.readline() for process in processes]
    assert sorted(printed) == ["", f"{tmp_path / 'run'}\n"]
    winner, loser = processes if printed[0] else processes[::-1]
    (line,) = loser.communicate(timeout=60)[1].splitlines()
    assert loser.returncode == 2
    assert line.startswith(f"error: --output_folder: {tmp_path / 'run'} is in use by another run (process {winner.pid}")
    winner.communicate(timeout=60)
    assert winner.returncode == 0
    seed = "12"[processes.index(winner)]
    assert [(path.name, path.read_text()) for path in (tmp_path / "run").iterdir()] == [("last_checkpoint.pth", seed)]


@pytest.mark.slow
def test_of_two_runs_that_start_together_each_gets_its_dated_folder(tmp_path: Path):
    processes = start_two(tmp_path, "")
    folders = [Path(process.stdout.readline().strip()) for process in processes]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert [(folder / "last_checkpoint.pth").read_text() for folder in folders] == ["1", "2"]


def test_dated_folders_never_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        folders = {stack.enter_context(runs.claimed_run_folder("exp", None)) for _ in range(3)}
        assert len(folders) == 3
        for folder in folders:
            runs.start_run_folder(folder)
    assert all(folder.parent == Path("logs/exp") for folder in folders)
    assert "torch " in (next(iter(folders)) / "environment.txt").read_text()


def test_a_training_run_is_not_overwritten(tmp_path: Path):
    (tmp_path / "last_checkpoint.pth").touch()
    with pytest.raises(ArgumentError, match="`output_folder`: .* contains a training run.*`resume_train` .*last"):
        runs.check_run_folder("exp", str(tmp_path))
    with pytest.raises(ArgumentError, match="contains a training run"), runs.claimed_run_folder("exp", str(tmp_path)):
        pass
    runs.check_run_folder("exp", str(tmp_path), resuming=True)
    with runs.claimed_run_folder("exp", str(tmp_path), resuming=True) as folder:
        assert folder == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["last_checkpoint.pth"]


def test_a_run_that_ended_while_another_claimed_its_folder_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def claim_late(folder: Path, resuming: bool) -> runs.Claim:
        (folder / "last_checkpoint.pth").touch()
        return claim(folder, resuming)

    claim = runs.claim
    monkeypatch.setattr(runs, "claim", claim_late)
    with pytest.raises(ArgumentError, match="contains a training run"), runs.claimed_run_folder("exp", str(tmp_path)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["last_checkpoint.pth"]


def test_two_runs_do_not_go_on_with_one_folder(tmp_path: Path):
    with (
        runs.claimed_run_folder("exp", str(tmp_path), resuming=True),
        pytest.raises(ArgumentError, match="`resume_train`: .* is in use by another run .*; wait until it ends"),
        runs.claimed_run_folder("exp", str(tmp_path), resuming=True),
    ):
        pass


@pytest.mark.parametrize("output_folder", [None, "a/run"])
def test_a_run_that_fails_before_it_writes_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output_folder: str | None
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlacewiseError, match="no images"), runs.claimed_run_folder("exp", output_folder) as folder:
        assert (folder / FILE).is_file()
        raise PlacewiseError("no images")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PlacewiseError, match="later"), runs.claimed_run_folder("exp", output_folder) as folder:
        runs.start_run_folder(folder)
        raise PlacewiseError("later")
    assert {path.name for path in folder.iterdir()} == {"environment.txt", "run.json"}


def test_what_a_killed_run_left_while_writing_is_removed(tmp_path: Path):
    for name in (".last_checkpoint-x.pth", ".best_model-y.pth", "best_model.pth"):
        (tmp_path / name).touch()
    runs.start_run_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"best_model.pth", "environment.txt", "run.json"}


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
    folder = tmp_path
    runs.start_run_folder(folder)
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
    kept = runs.prolong(tmp_path, now, before, now)
    assert kept == {"resume_model": "a.pth", "epochs_num": 4, "dataset_folder": "demo"}
    best = load_checkpoint(tmp_path / "best_model.pth")
    assert best["config"]["epochs_num"] == 4 and best["epoch"] == 1
    written = (tmp_path / "best_model.pth").stat()
    runs.prolong(tmp_path, now, now | {"resume_train": "last_checkpoint.pth"}, now)
    assert (tmp_path / "best_model.pth").stat() == written


def test_a_saved_configuration_is_read_back(tmp_path: Path):
    config = {"lr": 1e-5, "aggregation_options": {"grid": 7}, "index": None, "name": "ü: #"}
    runs.save_config(config, tmp_path)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8")) == config
