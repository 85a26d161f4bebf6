"""Running the entry scripts as a user does."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY = [
    "--backbone", "MobileNet_V3_Small", "--pretrained", "none", "--fc_output_dim", "16", "--image_size", "64",
    "--min_images_per_class", "2", "--groups_num", "1", "--batch_size", "4", "--num_workers", "0",
    "--precision", "fp32", "--device", "cpu", "--lr", "1e-3",
]  # fmt: skip


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def start(script: str, *flags: object, launcher: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen:
    """Starts an entry script in the repository's root; with "-m" the module that comes next."""
    command = [*launcher, script if script == "-m" else str(ROOT / script), *map(str, flags)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def call(script: str, *flags: object, launcher: tuple[str, ...] = (sys.executable,)) -> tuple[int, str]:
    """Runs an entry script to its end and returns its exit code and everything it printed."""
    process = start(script, *flags, launcher=launcher)
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


FORKS = """
import importlib, json, os, sys
from commons.errors import run
main = importlib.import_module(sys.argv[1]).main
for number, flags in enumerate(json.loads(sys.argv[2])):
    child = os.fork()
    if not child:
        output = os.open(f"{sys.argv[3]}/{number}.txt", os.O_CREAT | os.O_WRONLY)
        os.dup2(output, 1), os.dup2(output, 2)
        sys.argv = [sys.argv[1] + ".py", *flags]
        try:
            run(main)
        except SystemExit as end:
            os._exit(end.code or 0)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def call_in_turn(script: str, commands: list[list[object]], folder: Path) -> list[tuple[int, str]]:
    """Runs an entry script once for each list of flags, all from one process that imports it: importing takes longest.

    Args:
        script: the entry script.
        commands: flags of each run.
        folder: is made, for what the script prints.

    Returns:
        Exit code and everything that was printed, of each run.
    """
    flags = json.dumps([list(map(str, command)) for command in commands])
    folder.mkdir()
    command = [sys.executable, "-c", FORKS, script.removesuffix(".py"), flags, str(folder)]
    codes = subprocess.run(command, cwd=ROOT, env=_environment(), text=True, stdout=subprocess.PIPE, check=True).stdout
    return [(int(code), (folder / f"{number}.txt").read_text()) for number, code in enumerate(codes.split())]


def assert_mistakes(script: str, mistakes: list[tuple[list[object], int, str]], folder: Path) -> None:
    """Runs an entry script with flags that are wrong.

    Args:
        script: the entry script.
        mistakes: flags, the exit code, and words of the one line that the script must end with.
        folder: is made, for what the script prints.
    """
    runs = call_in_turn(script, [wrong for wrong, _, _ in mistakes], folder)
    for (returned, output), (_, code, words) in zip(runs, mistakes, strict=True):
        assert returned == code, output
        assert "Traceback" not in output
        last = output.strip().splitlines()[-1]
        assert last.startswith("error: ") and words in last, last
