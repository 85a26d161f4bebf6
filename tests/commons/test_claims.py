"""Claims of folders by processes that start together, end, are killed and are elsewhere."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from commons import claims
from commons.claims import FILE, GUARD, claim, this_process
from commons.errors import ArgumentError
from tests.helpers import ROOT

# Waits until all processes are there, claims, and keeps the folder until its standard input is closed.
PROGRAM = """
import sys, time
from pathlib import Path
from commons.claims import claim
from commons.errors import run

def main():
    folder, barrier, name, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    (barrier / name).touch()
    while len(list(barrier.iterdir())) < count:
        pass
    own = claim(folder)
    print("claimed", flush=True)
    sys.stdin.read()
    own.release()

run(main)
"""


def start_together(folder: Path, barrier: Path, count: int) -> list[subprocess.Popen]:
    barrier.mkdir(exist_ok=True)
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    arguments = [[str(folder), str(barrier), str(number), str(count)] for number in range(count)]
    return [subprocess.Popen([sys.executable, "-c", PROGRAM, *own], **pipes) for own in arguments]


def winners_and_losers(processes: list[subprocess.Popen]) -> tuple[list[subprocess.Popen], list[str]]:
    """Returns the processes that hold the folder, and what the others printed to stderr as they ended with code 2."""
    winners = [process for process in processes if process.stdout.readline()]
    errors = []
    for process in processes:
        if process not in winners:
            errors.append(process.communicate(timeout=60)[1])
            assert process.returncode == 2
    return winners, errors


def end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0


def dead_owner() -> claims.Owner:
    """A process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(this_process(), process=process.pid, started="1")


def write(folder: Path, owner: claims.Owner) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(vars(owner)))
    return folder


def test_of_two_processes_that_start_together_one_gets_the_folder(tmp_path: Path):
    folder = tmp_path / "a" / "run"
    winners, errors = winners_and_losers(start_together(folder, tmp_path / "barrier", 2))
    assert len(winners) == 1
    (line,) = errors[0].splitlines()
    assert line.startswith(f"error: --output_folder: {folder} is in use by another run (process {winners[0].pid} on ")
    assert line.endswith("; name another folder, or wait until it has ended")
    end(winners)
    assert not folder.exists() or not list(folder.iterdir())  # it stays where the process that was refused has made it


def test_of_many_processes_that_find_a_dead_one_one_gets_its_folder(tmp_path: Path):
    folder = write(tmp_path / "run", dead_owner())
    winners, errors = winners_and_losers(start_together(folder, tmp_path / "barrier", 5))
    assert (len(winners), len(errors)) == (1, 4)
    assert f"process {winners[0].pid} on" in errors[0]
    assert json.loads((folder / FILE).read_text())["process"] == winners[0].pid
    end(winners)
    assert list(folder.iterdir()) == []


def test_a_killed_process_does_not_keep_others_out(tmp_path: Path):
    """Neither before nor after its parent has asked how it ended."""
    (process,) = start_together(tmp_path / "run", tmp_path / "barrier", 1)
    assert process.stdout.readline()
    with pytest.raises(ArgumentError, match=f"process {process.pid} on"):
        claim(tmp_path / "run")
    process.kill()
    while claims._started(process.pid) and not claims._read(tmp_path / "run" / FILE).is_dead():
        time.sleep(0.01)
    claim(tmp_path / "run").release()
    process.communicate()
    claim(write(tmp_path / "run", dead_owner())).release()


def test_a_process_claims_a_folder_once_and_can_again_when_it_has_released_it(tmp_path: Path):
    own = claim(tmp_path / "run")
    with pytest.raises(ArgumentError, match=f"process {os.getpid()} on"):
        claim(tmp_path / "run")
    own.release()
    again = claim(tmp_path / "run")
    own.release()
    assert (tmp_path / "run" / FILE).exists()  # a second release leaves the new claim alone
    again.release()


def test_another_process_of_the_same_number_is_not_the_owner(tmp_path: Path):
    earlier = replace(this_process(), started="1")
    claim(write(tmp_path, earlier)).release()


@pytest.mark.parametrize("changes", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_of_processes_elsewhere_nobody_knows_whether_they_live(tmp_path: Path, changes: dict):
    write(tmp_path, replace(dead_owner(), **changes))
    with pytest.raises(ArgumentError, match=f"output_folder`: .*another folder, or delete .*{FILE} if it has ended$"):
        claim(tmp_path)
    with pytest.raises(ArgumentError, match=f"resume_train`: .*another run .*; delete .*{FILE} if it has ended$"):
        claim(tmp_path, resuming=True)


def test_a_file_that_names_nobody_is_waited_for_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claims, "PATIENCE", 0.05)
    (tmp_path / FILE).touch()
    with pytest.raises(ArgumentError, match=rf"is in use by another run; name .* delete .*{FILE}"):
        claim(tmp_path)


def test_a_guard_of_a_killed_process_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claims, "PATIENCE", 0.05)
    (write(tmp_path, dead_owner()) / GUARD).touch()
    with pytest.raises(ArgumentError):
        claim(tmp_path)  # the guard is new: another process is removing the file
    os.utime(tmp_path / GUARD, (0, 0))
    claim(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_only_what_was_made_and_is_empty_is_removed(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    claim(tmp_path / "mine").release()
    claim(tmp_path / "mine" / "a" / "b").release()
    assert list((tmp_path / "mine").iterdir()) == []
    own = claim(tmp_path / "mine" / "a" / "b")
    (tmp_path / "mine" / "a" / "b" / "info.log").touch()
    own.release()
    assert [path.name for path in (tmp_path / "mine" / "a" / "b").iterdir()] == ["info.log"]


def test_a_child_does_not_release_what_its_parent_claimed(tmp_path: Path):
    own = claim(tmp_path / "run")
    child = os.fork()
    if not child:
        own.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "run" / FILE).exists()
    own.release()


def test_a_new_folder_must_not_exist(tmp_path: Path):
    with pytest.raises(FileExistsError):
        claim(tmp_path, new=True)
    claim(tmp_path / "run", new=True).release()
    assert list(tmp_path.iterdir()) == []
