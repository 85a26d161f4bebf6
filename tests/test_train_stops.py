"""train.py is killed, stopped and resumed."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import write_city
from tests.helpers import Started, assert_mistakes, call
from tests.training_runs import assert_same_end, flags, rows

pytestmark = pytest.mark.slow


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
