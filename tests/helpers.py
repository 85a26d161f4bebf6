"""Runs the programs as a user does."""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT = 240
TINY = [
    "--backbone", "MobileNet_V3_Small", "--pretrained", "none", "--fc_output_dim", "16", "--image_size", "64",
    "--min_images_per_class", "2", "--groups_num", "1", "--batch_size", "4", "--num_workers", "0",
    "--precision", "fp32", "--device", "cpu", "--lr", "1e-3",
]  # fmt: skip


def _environment() -> dict[str, str]:
    # PYTHONPATH: a test's own script lies elsewhere.
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}


def start(script: str | Path, *flags: object, launcher: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen:
    """Starts an entry script in the repository's root."""
    return subprocess.Popen(
        [*launcher, str(ROOT / script), *map(str, flags)],
        cwd=ROOT,
        env=_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def in_two_processes(script: str | Path, *flags: object) -> tuple[int, str]:
    """Runs an entry script with torchrun, on a port that is free, as `call` does."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    process = start(script, *flags, launcher=torchrun)
    output, _ = process.communicate(timeout=TIMEOUT)
    return process.returncode, output


FORKS = f"""
import importlib, json, os, signal, sys
from commons.errors import run
importlib.import_module("train")
importlib.import_module("tasks.place_recognition")
for line in sys.stdin:
    module, flags, printed, preload = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm({TIMEOUT})
        for file, number in ((os.devnull, 0), (printed, 1), (printed, 2)):
            os.dup2(os.open(file, os.O_RDWR | os.O_APPEND), number)
        sys.argv = [module + ".py", *flags]
        code = 1
        try:
            if preload:
                importlib.import_module(preload)
            run(importlib.import_module(module).main)
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _forks() -> subprocess.Popen:
    """A process that has imported train.py and forks: importing takes longer than most runs on tiny data."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", FORKS], cwd=ROOT, env=_environment(), **pipes)


def call(script: str, *flags: object, preload: str | None = None) -> tuple[int, str]:
    """Runs the `main` of an entry script ("train.py") or module ("tools.soup") in a process of its own.

    Args:
        script: which one.
        flags: of the command line.
        preload: a module to import before.

    Returns:
        Its exit code and everything that it printed.
    """
    server = _forks()
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as printed:
        order = [script.removesuffix(".py"), list(map(str, flags)), printed.name, preload]
        print(json.dumps(order), file=server.stdin, flush=True)
        return int(server.stdout.readline()), printed.read()


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
