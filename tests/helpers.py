"""Runs the programs as a user does."""

import json
import os
import socket
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


PRELOADED = ("flags", "losses", "methods", "reports", "tasks")  # folders that import nearly everything
# What takes longer at its first time.
WARM_UP = """
import io
from matplotlib.figure import Figure
from model.network import check_network
Figure().subplots().figure.savefig(io.BytesIO())
check_network("MobileNet_V3_Small", 16, "gem", {}, 64)
"""

FORKS = f"""
import contextlib, gc, importlib, json, os, pkgutil, runpy, signal, sys
import sklearn.cluster, torch.utils.tensorboard
from commons.errors import run
for folder in {PRELOADED}:
    for module in pkgutil.walk_packages([folder], folder + "."):
        importlib.import_module(module.name)
{WARM_UP}
gc.freeze()

def play(script, flags, printed, preload, rank):
    signal.alarm({TIMEOUT})
    for file, number in ((os.devnull, 0), (printed, 1), (printed, 2)):
        os.dup2(os.open(file, os.O_RDWR | os.O_APPEND), number)
    os.environ.update(rank)
    sys.argv = [script, *flags]
    if preload:
        importlib.import_module(preload)
    if os.path.isabs(script):
        runpy.run_path(script, run_name="__main__")
    else:
        run(importlib.import_module(script.removesuffix(".py")).main)

def fork(*order):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        play(*order)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)

for line in sys.stdin:
    *order, ranks = json.loads(line)
    children = {{fork(*order, rank) for rank in ranks}}
    code = 0
    while children:
        child, status = os.wait()
        children.remove(child)
        code = code or os.waitstatus_to_exitcode(status)
        for other in children if code else ():  # as torchrun does
            with contextlib.suppress(ProcessLookupError):
                os.kill(other, signal.SIGTERM)
    print(code, flush=True)
"""


@cache
def _forks() -> subprocess.Popen:
    """A process that has imported the library and forks: importing takes longer than most runs on tiny data."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-c", FORKS], cwd=ROOT, env=_environment(), **pipes)


def _run(
    script: str | Path, flags: tuple[object, ...], preload: str | None, ranks: list[dict[str, str]]
) -> tuple[int, str]:
    server = _forks()
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as printed:
        order = [str(script), list(map(str, flags)), printed.name, preload, ranks]
        print(json.dumps(order), file=server.stdin, flush=True)
        return int(server.stdout.readline()), printed.read()


def call(script: str | Path, *flags: object, preload: str | None = None) -> tuple[int, str]:
    """Runs an entry script ("train.py"), a module ("tools.soup") or a file in a process of its own.

    Args:
        script: which one.
        flags: of the command line.
        preload: a module to import before.

    Returns:
        Its exit code and everything that it printed.
    """
    return _run(script, flags, preload, [{}])


def in_two_processes(script: str | Path, *flags: object, preload: str | None = None) -> tuple[int, str]:
    """Does the same in two processes that know each other as those of torchrun do, which would import all again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return _run(script, flags, preload, [shared | {"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")])


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
