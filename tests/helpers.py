"""Running the entry scripts as a user does."""

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


def start(script: str, *flags: object, launcher: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen:
    """Starts an entry script in the repository's root."""
    command = [*launcher, str(ROOT / script), *map(str, flags)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
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
