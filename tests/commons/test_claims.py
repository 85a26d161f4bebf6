"""Claims of folders by several processes that start at the same time, end or are killed."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from commons.claims import FILE, claim
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


def test_of_two_processes_that_start_together_one_gets_the_folder(tmp_path: Path):
    folder = tmp_path / "a" / "run"
    winners, errors = winners_and_losers(start_together(folder, tmp_path / "barrier", 2))
    assert len(winners) == 1
    (line,) = errors[0].splitlines()
    # The winner's name is missing if it has not written it yet.
    owner = rf"( \(process {winners[0].pid} on .+\))?"
    wanted = rf"error: --output_folder: {re.escape(str(folder))} is in use by another run{owner}; name another folder"
    assert re.fullmatch(wanted + ", or wait until it ends", line)
    end(winners)
    assert not folder.exists() or not list(folder.iterdir())  # it stays where the process that was refused has made it


def test_of_many_processes_one_gets_the_folder_of_a_killed_one(tmp_path: Path):
    (killed,) = start_together(tmp_path / "run", tmp_path / "first", 1)
    assert killed.stdout.readline()
    with pytest.raises(ArgumentError, match=f"process {killed.pid} on"):
        claim(tmp_path / "run")
    killed.kill()
    killed.communicate()
    assert (tmp_path / "run" / FILE).exists()
    winners, errors = winners_and_losers(start_together(tmp_path / "run", tmp_path / "second", 5))
    assert (len(winners), len(errors)) == (1, 4)
    end(winners)
    assert not (tmp_path / "run" / FILE).exists()


def test_a_process_claims_a_folder_once_and_can_again_when_it_has_released_it(tmp_path: Path):
    own = claim(tmp_path / "run")
    with pytest.raises(ArgumentError, match=f"process {os.getpid()} on"):
        claim(tmp_path / "run")
    own.release()
    again = claim(tmp_path / "run")
    with pytest.raises(ArgumentError, match=f"`output`: .* is in use by another run .process {os.getpid()} on"):
        claim(tmp_path / "run", parameter="output")
    own.release()
    assert (tmp_path / "run" / FILE).exists()  # a second release leaves the new claim alone
    again.release()


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


def test_an_owner_that_has_just_taken_the_lock_is_waited_for(tmp_path: Path):
    lock = FileLock(tmp_path / FILE)
    with lock:
        naming = threading.Timer(0.1, (tmp_path / FILE).write_text, ["process 7 on here"])
        naming.start()
        with pytest.raises(ArgumentError, match=r"in use by another run \(process 7 on here\)"):
            claim(tmp_path)
        naming.join()
