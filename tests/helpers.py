"""Runs the programs as a user does."""

import importlib
import multiprocessing
import multiprocessing.connection
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT = 240
TINY = [
    "--backbone", "MobileNet_V3_Small", "--pretrained", "none", "--fc_output_dim", "16", "--image_size", "64",
    "--min_images_per_class", "2", "--groups_num", "1", "--batch_size", "4", "--num_workers", "0",
    "--precision", "fp32", "--device", "cpu", "--lr", "1e-3",
]  # fmt: skip

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.preloaded"])


def _play(script: str, flags: list[str], printed: str, preload: str | None, variables: dict[str, str]) -> None:
    """Does in a new process what the interpreter does with a script and its flags."""
    os.setsid()
    signal.alarm(TIMEOUT)
    for file, number in ((os.devnull, 0), (printed, 1), (printed, 2)):
        os.dup2(os.open(file, os.O_RDWR | os.O_APPEND), number)
    os.chdir(ROOT)
    # PYTHONPATH: a test's own script lies elsewhere.
    os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)} | variables)
    multiprocessing.set_start_method("fork", force=True)  # for the workers of data loaders; it was "forkserver"
    sys.argv = [script, *flags]
    if preload:
        importlib.import_module(preload)
    if os.path.isabs(script):
        runpy.run_path(script, run_name="__main__")
    else:
        from commons.errors import run

        run(importlib.import_module(script.removesuffix(".py")).main)


class Started:
    """A program that runs in a process of its own, forked from one that has imported the library.

    Its methods are those of `subprocess.Popen`; stdout and stderr are one text.

    Args:
        script: an entry script ("train.py"), a module ("tools.soup") or the path of a file.
        flags: of the command line.
        preload: a module to import before.
        variables: additional environment variables.
    """

    def __init__(
        self,
        script: str | Path,
        *flags: object,
        preload: str | None = None,
        variables: dict[str, str] | None = None,
    ) -> None:
        self._printed = tempfile.NamedTemporaryFile("r", encoding="utf-8")  # noqa: SIM115, read until the end
        order = (str(script), list(map(str, flags)), self._printed.name, preload, variables or {})
        self._process = _forks.Process(target=_play, args=order)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = TIMEOUT) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def read(self) -> str:
        """What was printed since the last call."""
        return self._printed.read()

    def wait_for(self, pattern: str) -> re.Match:
        """Waits until the program has printed a text that matches."""
        seen = ""
        while not (found := re.search(pattern, seen)):
            ended = self.poll() is not None
            seen += self.read()
            assert not ended or re.search(pattern, seen), seen
            time.sleep(0.005)
        return found

    def communicate(self, timeout: float = TIMEOUT) -> tuple[str, None]:
        """Waits for the end; returns what was printed since the last `read`."""
        self.wait(timeout)
        return self.read(), None


def call(script: str | Path, *flags: object, preload: str | None = None) -> tuple[int, str]:
    """Runs a program as `Started` does; returns its exit code and everything that it printed."""
    return in_processes(1, script, *flags, preload=preload)


def in_processes(count: int, script: str | Path, *flags: object, preload: str | None = None) -> tuple[int, str]:
    """Runs a program in `count` processes that know each other as those of torchrun do, which would import all again.

    Returns:
        The first exit code other than 0, or 0, and everything that the processes printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [shared | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(count)] if count > 1 else [{}]
    variables = [{name: str(value) for name, value in rank.items()} for rank in ranks]
    processes = [Started(script, *flags, preload=preload, variables=own) for own in variables]
    code, running = 0, processes
    while running:
        multiprocessing.connection.wait([process._process.sentinel for process in running])
        code = code or next((process.returncode for process in running if process.poll()), 0)
        running = [process for process in running if process.poll() is None]
        for process in running if code else ():  # as torchrun does
            process.terminate()
    return code, "".join(process.read() for process in processes)


def assert_mistakes(script: str, mistakes: list[tuple[list[object], int, str]]) -> list[str]:
    """Runs an entry script with flags that are wrong, and returns what it printed each time.

    Args:
        script: as for `call`.
        mistakes: flags, the exit code, and words of the one line that the script must end with.
    """
    outputs = []
    for wrong, code, words in mistakes:
        returned, output = call(script, *wrong)
        outputs.append(output)
        assert returned == code, output
        assert "Traceback" not in output
        last = output.strip().splitlines()[-1]
        assert last.startswith("error: ") and words in last, last
    return outputs
