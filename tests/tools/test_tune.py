"""python -m tools.tune. A small program takes the place of train.py, except in the last test."""

import csv
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from commons.errors import ArgumentError, PlacewiseError, UsageError, run
from parser import parse_train_settings
from tests.helpers import ROOT, TIMEOUT, TINY, Started, call
from tools import tune

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="Optuna is optional")

# Its result after an epoch is best for a learning rate of 1e-3; it fails above 0.5.
TRAINER = """
import math, signal, sys, time
from pathlib import Path
from commons.claims import claim
from commons.files import write_text

flags = dict(flag.lstrip("-").partition("=")[::2] for flag in sys.argv[1:] if "=" in flag)
lr, pause = float(flags["lr"]), float(flags.get("M", 0)) / 1000
folder = Path(flags["output_folder"])
own = claim(folder)
def stop(*_):
    (folder / "last_checkpoint.pth").touch()
    own.release()
    sys.exit("error: stopped")
signal.signal(signal.SIGTERM, stop)
write_text(folder / "config.yaml", f"lr: {lr}\\n")
write_text(folder / "run.json", '{"main_metric": {"name": "mean km", "higher_is_better": false}}')
if lr > 0.5:
    print("a line before")
    sys.exit("error: the loss is NaN or infinite")
rows = "epoch,loss,val_mean km\\n"
for epoch in range(3):
    time.sleep(pause)
    rows += f"{epoch},1.0,{10 * abs(math.log10(lr) + 3) + 5 - min(epoch, 1)}\\n"
    write_text(folder / "metrics.csv", rows)
write_text(folder / "results.json", "{}")
own.release()
"""
TUNE = """
import sys
from pathlib import Path
from commons.errors import run
from tools import tune
tune.TRAIN, tune.POLL = Path(sys.argv.pop(1)), 0.02
run(tune.main)
"""
FLAGS = ["--dataset_folder", "x", "--backbone", "timm:test_resnet", "--epochs_num", "3"]


class Command:
    """tools.tune with the small program."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trainer, self.program, self.output = folder / "trainer.py", folder / "tune.py", folder / "out"
        self.trainer.write_text(TRAINER)
        self.program.write_text(TUNE)
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setattr("commons.errors.end_workers", lambda: None)  # started programs are children of pytest
        monkeypatch.setattr(tune, "TRAIN", self.trainer)
        monkeypatch.setattr(tune, "POLL", 0.02)

    def flags(self, flags: tuple[object, ...], pause: int) -> list[str]:
        return list(map(str, ["--output", self.output, *flags, "--", *FLAGS, f"--M={pause}"]))

    def start(self, *flags: object, pause: int) -> Started:
        """Starts the program; its runs take `pause` milliseconds for an epoch."""
        return Started(self.program, self.trainer, *self.flags(flags, pause))

    def run(self, *flags: object, pause: int = 10) -> int:
        """Runs the program in this process, and returns its exit code."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.monkeypatch.setattr(sys, "argv", ["tune.py", *self.flags(flags, pause)])
        try:
            run(tune.main)
        except SystemExit as ended:
            return ended.code
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return 0

    def folder(self, number: int) -> Path:
        return self.output / f"trial_{number:03d}"

    def states(self) -> list[str]:
        """The states of the trials in the table, in the order of their numbers."""
        lines = (self.output / "tune.md").read_text().splitlines()[2:]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return [row[-1] for row in sorted(rows, key=lambda row: int(row[0]))]

    def wait_for(self, file: Path) -> None:
        end = time.monotonic() + TIMEOUT
        while not file.exists():
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Command:
    caplog.set_level(logging.INFO)
    return Command(tmp_path, monkeypatch)


SEARCH = ["--search", "lr=1e-6:0.1:log", "--startup_trials", 3]


@needs_optuna
@pytest.mark.slow
def test_search_stops_bad_trials_and_writes_table_plot_and_best_flags(command: Command, capsys):
    assert command.run(*SEARCH, "--trials", 10, pause=300) == 0, capsys.readouterr()
    states = command.states()
    assert states[:3] == ["complete"] * 3 and len(states) == 10 and "stopped" in states
    for number, state in enumerate(states):
        rows = (command.folder(number) / "metrics.csv").read_text().splitlines()[1:]
        assert (command.folder(number) / "last_checkpoint.pth").exists() == (len(rows) < 3) == (state == "stopped")
    rates = [float((command.folder(number) / "config.yaml").read_text()[4:]) for number in range(10)]
    complete = [rate for rate, state in zip(rates, states, strict=True) if state == "complete"]
    best = min(complete, key=lambda rate: abs(math.log10(rate) + 3))
    lines = (command.output / "tune.md").read_text().splitlines()
    assert lines[0] == "| trial | lr | validation mean km | best epoch | epochs | minutes | state |"
    assert f"| {best:.3g} |" in lines[2] and "| 1 | 3 |" in lines[2]  # epoch 1 is the first of two equal ones
    assert parse_train_settings(["--config", str(command.output / "best.yaml"), *FLAGS]).optimizer.lr == best
    assert (command.output / "tune.png").stat().st_size > 5_000
    printed = capsys.readouterr().out
    assert "Written" in printed and "validation mean km" in printed


@needs_optuna
@pytest.mark.slow
def test_a_killed_search_goes_on(command: Command, caplog, capsys):
    process = command.start(*SEARCH, "--trials", 4, pause=300)
    command.wait_for(command.folder(1) / "metrics.csv")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    killed = (command.folder(1) / "config.yaml").read_text()
    assert command.states() == ["complete"]
    assert command.run(*SEARCH, "--trials", 4, pause=300) == 0
    assert "trial 1 was interrupted and is run again" in caplog.text
    assert (command.folder(2) / "config.yaml").read_text() == killed
    assert len({(command.folder(number) / "config.yaml").read_text() for number in (0, 2, 3, 4)}) == 4
    assert len(command.states()) == 4 and not command.folder(5).exists()
    assert command.run("--search", "lr=1e-6:0.2:log", "--trials", 4) == 2
    assert "contains a study with M 300, not 10" in capsys.readouterr().err


@needs_optuna
@pytest.mark.slow
def test_two_searches_cannot_share_a_folder_and_a_stopped_one_stops_its_run(command: Command, capsys):
    process = command.start(*SEARCH, "--trials", 2, pause=60_000)
    command.wait_for(command.folder(0) / "run.json")
    assert command.run(*SEARCH, "--trials", 2, pause=60_000) == 2
    assert f"--output: {command.output} is in use by another run" in capsys.readouterr().err
    process.terminate()
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1 and "stopped: run the same command again to continue the search" in output
    assert (command.folder(0) / "last_checkpoint.pth").exists()


@needs_optuna
@pytest.mark.slow
def test_a_run_that_a_killed_search_left_is_named(command: Command, capsys):
    process = command.start(*SEARCH, "--trials", 2, pause=60_000)
    command.wait_for(command.folder(0) / "run.json")
    process.kill()  # not its run
    process.wait()
    code = command.run(*SEARCH, "--trials", 2, pause=60_000)
    os.killpg(process.pid, signal.SIGKILL)
    printed = capsys.readouterr().err
    assert code == 1 and "trial_000 is in use by another run (process" in printed and "left: stop it" in printed


@needs_optuna
def test_failures_are_counted_and_end_a_search_in_which_nothing_works(command: Command, capsys):
    assert command.run("--search", "lr=0.6:0.9", "--trials", 9) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: 3 trials failed in a row, the last with: the loss is NaN or infinite (")
    assert command.states() == ["failed"] * 3 and not (command.output / "best.yaml").exists()


@needs_optuna
def test_equal_flags_run_once(command: Command, caplog):
    assert command.run("--search", "lr=1e-4,1e-3", "--startup_trials", 9, "--trials", 8) == 0
    assert command.states() == ["complete"] * 2
    assert len(list(command.output.glob("trial_*.log"))) == 2 and caplog.text.count(", as in trial ") == 6


def test_what_can_be_searched():
    lr, batch_size, hue, optimizer = tune.read_space(
        [("lr", "1e-4:1e-3"), ("batch_size", "16:32"), ("hue", "0:0.5"), ("optimizer", "adam,sgd")]
    )
    assert (lr.whole, batch_size.whole, hue.whole, optimizer.choices) == (False, True, False, ("adam", "sgd"))
    with pytest.raises(ArgumentError, match=r"batchsize is not a flag of train.py \(did you mean batch_size\?\)"):
        tune.read_space([("batchsize", "16,32")])


def test_flags_of_a_trial():
    chosen = {"lr": "0.1", "freeze_batch_norm": "true", "train_all_layers": "false"}
    chosen |= {"milestones": "1 2", "loss": "arcface"}
    assert tune.as_arguments(chosen) == [
        "--lr=0.1", "--freeze_batch_norm", "--no-train_all_layers", "--milestones", "1", "2", "--loss=arcface",
    ]  # fmt: skip
    with pytest.raises(ArgumentError, match="freeze_batch_norm must be true or false, not yes"):
        tune.as_arguments({"freeze_batch_norm": "yes"})


def test_every_value_passes_the_parser_of_train_before_the_first_trial():
    def check(*search: tuple[str, str]) -> None:
        tune.check_space(tune.read_space(search), FLAGS)

    check(("lr", "1e-4:1e-3"), ("optimizer", "adam,adamw"))
    for search, words in [
        (("optimizer", "adam,adamm"), "adamm is unknown"),
        (("lr", "0:1"), "--lr: must be above 0"),
        (("layer_decay", "0.5:2"), "--layer_decay 2: must be at most 1"),
        (("scheduler", "cosine,linear"), "invalid choice: 'linear'"),
        (("lr_power", "1:2"), "--lr_power needs --scheduler polynomial"),
    ]:
        with pytest.raises(UsageError, match=words):
            check(search)


def test_a_run_without_its_main_metric_is_an_error(tmp_path: Path):
    assert list(tune.validations(tmp_path, -1)) == []
    (tmp_path / "run.json").write_text(json.dumps({"main_metric": {"name": "R@1", "higher_is_better": True}}))
    (tmp_path / "metrics.csv").write_text("epoch,val_R@1\n0,20.0\n1,30.0\n")
    assert [(epoch, value) for epoch, _, value in tune.validations(tmp_path, 0)] == [(1, 30.0)]
    (tmp_path / "metrics.csv").write_text("epoch,val_R@5\n0,20.0\n")
    with pytest.raises(PlacewiseError, match="metrics.csv: has no val_R@1"):
        list(tune.validations(tmp_path, -1))


def test_without_optuna_one_line_says_how_to_install_it(tmp_path: Path):
    (tmp_path / "optuna.py").write_text("raise ImportError")
    command = [sys.executable, "-m", "tools.tune", "--search", "lr=1,2"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (ended.returncode, ended.stderr) == (1, "error: tools.tune needs Optuna: pip install optuna\n")


@needs_optuna
@pytest.mark.slow
def test_the_command_with_train(city: Path, tmp_path: Path):
    flags = [*TINY[: TINY.index("--lr")], "--dataset_folder", city, "--epochs_num", 2, "--iterations_per_epoch", 3]
    search = ["--search", "lr=1e-5:1e-3:log", "optimizer=adam,sgd", "--trials", 1, "--output", tmp_path / "out"]
    code, output = call("tools.tune", *search, "--", *flags, "--trackers", "none")
    assert code == 0, output
    table = [line.split(" | ") for line in (tmp_path / "out" / "tune.md").read_text().strip("| \n").splitlines()]
    assert [name.strip("| ") for name in table[0]] == [
        "trial", "lr", "optimizer", "validation R@1", "best epoch", "epochs", "minutes", "state",
    ]  # fmt: skip
    best = {}
    for row in table[2:]:
        with open(tmp_path / "out" / f"trial_{int(row[0].strip('| ')):03d}" / "metrics.csv") as file:
            best[row[0]] = max(float(epoch["val_R@1"]) for epoch in csv.DictReader(file))
        assert row[3] == f"{best[row[0]]:.1f}" and row[5] == "2"
    assert best[table[2][0]] == max(best.values())
    settings = parse_train_settings(["--config", str(tmp_path / "out" / "best.yaml")])
    assert settings.optimizer.optimizer == table[2][2] and f"{settings.optimizer.lr:.3g}" == table[2][1]
    assert settings.data.dataset_folder == str(city)
