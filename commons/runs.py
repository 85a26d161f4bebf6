"""The folder of a run: complete and self-describing."""

import csv
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path

import torch
import yaml

from commons.errors import PlacewiseError, UsageError
from commons.files import atomic_path, write_text

PACKAGES = ("torch", "torchvision", "timm", "accelerate", "pytorch-metric-learning", "faiss-cpu", "numpy", "pyarrow")


def make_run_folder(save_dir: str, output_folder: str | None, resuming: bool = False) -> Path:
    """Creates `output_folder`, or logs/<save_dir>/<date_time>.

    Raises:
        UsageError: if it holds a training run already and is not being resumed.
        PlacewiseError: if it cannot be written.
    """
    folder = Path(output_folder) if output_folder else _dated(Path("logs") / save_dir)
    if (folder / "last_checkpoint.pth").exists() and not resuming:
        raise UsageError(
            f"{folder} holds a training run: name another --output_folder, or go on with it with "
            f"--resume_train {folder / 'last_checkpoint.pth'}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in [*folder.glob(".last_checkpoint-*.pth"), *folder.glob(".best_model-*.pth")]:
            left.unlink()  # a run that was killed while it wrote
        write_text(folder / "environment.txt", describe_environment())
    except OSError as error:
        raise PlacewiseError(f"{folder}: cannot be written ({error.strerror}); name another --output_folder") from error
    return folder


def _dated(parent: Path) -> Path:
    """A new folder named after the present second; a number is added where two runs start in the same one."""
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}_{number}"
    return folder


def save_config(config: Mapping[str, object], folder: Path) -> None:
    """Writes every flag of a run to config.yaml."""
    write_text(folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def save_metrics(rows: list[dict[str, float]], file: Path) -> None:
    """Writes one row an epoch as CSV."""
    with atomic_path(file) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def describe_environment() -> str:
    """Returns versions, device and git commit, a line each."""
    lines = [f"python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} CPU cores"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package} not installed")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    lines.append(f"GPU: {', '.join(names) or 'none'}")
    lines.append(f"git commit: {_git_commit()}")
    return "\n".join(lines) + "\n"


def _git_commit() -> str:
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
