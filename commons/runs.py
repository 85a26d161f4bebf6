"""The folder of a run: complete and self-describing."""

import csv
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import PlacewiseError, UsageError, first_line
from commons.files import atomic_path, check_writable, write_text

# Flags that every resumed start has, and that change nothing in the run.
OF_A_START = ("resume_train", "output_folder")
PACKAGES = ("torch", "torchvision", "timm", "accelerate", "pytorch-metric-learning", "faiss-cpu", "numpy", "pyarrow")


def check_run_folder(save_dir: str, output_folder: str | None, resuming: bool = False) -> None:
    """Finds out early what would keep `make_run_folder` from its work later.

    Raises:
        UsageError: if `output_folder` holds a training run already and is not being resumed.
        PlacewiseError: if the folder cannot be written.
    """
    if output_folder is None:
        check_writable(Path("logs") / save_dir, "save_dir")
        return
    checkpoint = Path(output_folder, "last_checkpoint.pth")
    if checkpoint.exists() and not resuming:
        raise UsageError(
            f"{output_folder} holds a training run: name another --output_folder, or go on with it with "
            f"--resume_train {checkpoint}"
        )
    check_writable(Path(output_folder), "output_folder")


def make_run_folder(save_dir: str, output_folder: str | None) -> Path:
    """Creates `output_folder`, or logs/<save_dir>/<date_time>.

    Raises:
        PlacewiseError: if it cannot be written.
    """
    folder = Path(output_folder) if output_folder else _dated(Path("logs") / save_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in [*folder.glob(".last_checkpoint-*.pth"), *folder.glob(".best_model-*.pth")]:
            left.unlink()  # a run that was killed while it wrote
        own = environment()
        write_text(folder / "environment.txt", describe_environment(own))
        save_record(folder, environment=own)
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
    """Writes the flags of a run to config.yaml, which --config reads."""
    write_text(folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def prolong(
    folder: Path, flags: Mapping[str, object], before: Mapping[str, object], config: Mapping[str, object]
) -> dict[str, object]:
    """Brings a run's folder up to the flags that it goes on with.

    config.yaml keeps what it kept, and the flags that are others now: the configuration in a checkpoint has also what
    followed from flags, such as the network of --resume_model, which --config would refuse beside them. best_model.pth
    gets the new configuration, because evaluations are matched to their runs by it.

    Args:
        folder: of the run.
        flags: that it goes on with.
        before: the configuration in its checkpoint.
        config: the new one.

    Returns:
        What config.yaml is to hold.
    """
    best, kept = folder / "best_model.pth", folder / "config.yaml"
    if best.is_file() and any(before.get(name) != value for name, value in config.items() if name not in OF_A_START):
        save_checkpoint(load_checkpoint(best) | {"config": dict(config)}, best)
    changed = {name: value for name, value in flags.items() if value != before.get(name)}
    return read_config(kept) | changed if kept.is_file() else dict(flags)


def read_config(file: str | Path) -> dict[str, object]:
    """Reads a YAML file of flags.

    Raises:
        UsageError: if it is missing or does not map names to values.
    """
    try:
        config = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {file}: cannot be read ({first_line(error)})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(
            f"--config {file}: is no YAML{where} ({getattr(error, 'problem', first_line(error))})"
        ) from error
    if not isinstance(config, dict):
        raise UsageError(f"--config {file}: must hold lines of the form `flag: value`")
    return config


def save_record(folder: Path, **parts: object) -> None:
    """Writes `parts` to run.json, which holds for programs what a run is and what it took; what stands there stays."""
    file = folder / "run.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    write_text(file, json.dumps(record | parts, indent=2) + "\n")


def save_metrics(rows: list[dict[str, float]], file: Path) -> None:
    """Writes one row an epoch as CSV; cells that a row lacks, as those of earlier versions may, are empty."""
    with atomic_path(file) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def environment() -> dict[str, Any]:
    """Returns versions, device and git commit."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "packages": {package: _version(package) for package in PACKAGES},
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "git_commit": _git_commit(),
    }


def describe_environment(own: Mapping[str, Any]) -> str:
    """Returns an `environment` as text, a line each."""
    lines = [f"python {own['python']} on {own['platform']}, {own['cpu_cores']} CPU cores"]
    lines += [f"{package} {version or 'not installed'}" for package, version in own["packages"].items()]
    lines += [f"GPU: {', '.join(own['gpus']) or 'none'}", f"git commit: {own['git_commit']}"]
    return "\n".join(lines) + "\n"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str:
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
