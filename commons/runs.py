"""The folder of a run and its files."""

import csv
import itertools
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.claims import Claim, claim
from commons.errors import ArgumentError, PlacewiseError
from commons.files import atomic_path, check_writable, write_text

PACKAGES = (
    "torch", "torchvision", "timm", "kornia", "accelerate", "pytorch-metric-learning", "faiss-cpu", "faiss-gpu",
    "numpy", "pyarrow",
)  # fmt: skip


def check_run_folder(save_dir: str, output_folder: str | None, resuming: bool = False) -> None:
    """Checks that `claimed_run_folder` can make the folder, without making it.

    Raises:
        ArgumentError: if `output_folder` holds a training run that is not being resumed.
        PlacewiseError: if the folder cannot be written.
    """
    if output_folder is None:
        check_writable(Path("logs") / save_dir, "save_dir")
        return
    checkpoint = Path(output_folder, "last_checkpoint.pth")
    if checkpoint.exists() and not resuming:
        raise ArgumentError(
            "output_folder",
            f"{output_folder} contains a training run; name another folder, or continue the run with `resume_train` "
            f"{checkpoint}",
        )
    check_writable(Path(output_folder), "output_folder")


@contextmanager
def claimed_run_folder(save_dir: str, output_folder: str | None, resuming: bool = False) -> Iterator[Path]:
    """Makes the folder of a run, `output_folder` or logs/<save_dir>/<date_time>, and claims it for this process.

    At the end of the context the claim is released, and the folder is removed if it is new and empty.

    Args:
        save_dir, output_folder: as on the command line.
        resuming: whether `output_folder` holds the run to resume.

    Raises:
        ArgumentError: if another run is writing to the folder, or it holds a training run that is not being resumed.
        PlacewiseError: if the folder cannot be written.
    """
    own = _claim(save_dir, output_folder, resuming)
    try:
        yield own.folder
    finally:
        own.release()


def _claim(save_dir: str, output_folder: str | None, resuming: bool) -> Claim:
    check_run_folder(save_dir, output_folder, resuming)
    folder = Path(output_folder) if output_folder else Path("logs") / save_dir
    try:
        own = claim(folder, resuming) if output_folder else _claim_dated(folder)
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        check_run_folder(save_dir, output_folder, resuming)  # another run may have used the folder in the meantime
    except PlacewiseError:
        own.release()
        raise
    return own


def _claim_dated(parent: Path) -> Claim:
    """Claims a new folder named by date and time, with a number if several runs start in the same second."""
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for number in itertools.count(1):
        with suppress(FileExistsError):
            return claim(parent / (name if number == 1 else f"{name}_{number}"), new=True)


def start_run_folder(folder: Path) -> None:
    """Removes temporary files of a killed run from its folder, and writes environment.txt and run.json.

    Raises:
        PlacewiseError: if the folder cannot be written.
    """
    try:
        for left in [*folder.glob(".last_checkpoint-*.pth"), *folder.glob(".best_model-*.pth")]:
            left.unlink()
        own = environment()
        write_text(folder / "environment.txt", environment_text(own))
        save_record(folder, environment=own)
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> PlacewiseError:
    return PlacewiseError(f"{folder}: cannot be written ({error.strerror}); name another `output_folder`")


def save_config(config: Mapping[str, object], folder: Path) -> None:
    """Writes the flags of a run to config.yaml, a file for --config."""
    write_text(folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def prolong(
    folder: Path, flags: Mapping[str, object], before: Mapping[str, object], config: Mapping[str, object]
) -> dict[str, object]:
    """Updates the folder of a resumed run to its new settings.

    config.yaml changes only in the flags that differ now. The configuration of a checkpoint cannot replace it, because
    it also contains values that follow from flags, such as the network of --resume_model, and --config does not accept
    both. best_model.pth gets the new configuration, because evaluations are matched to their runs by it.

    Args:
        folder: folder of the run.
        flags: flags of the resumed run.
        before: configuration in the checkpoint of the run.
        config: new configuration.

    Returns:
        The new contents of config.yaml.
    """
    best, file = folder / "best_model.pth", folder / "config.yaml"
    if best.is_file() and any(before.get(name) != value for name, value in config.items()):
        save_checkpoint(load_checkpoint(best) | {"config": dict(config)}, best)
    changed = {name: value for name, value in flags.items() if value != before.get(name)}
    held = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return held | changed if isinstance(held, dict) else dict(flags)


def save_record(folder: Path, **parts: object) -> None:
    """Adds `parts` to run.json, the record of a run for programs: settings, cost and results."""
    file = folder / "run.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    write_text(file, json.dumps(record | parts, indent=2) + "\n")


def save_metrics(rows: list[dict[str, float]], file: Path) -> None:
    """Writes one row per epoch as CSV. Missing values are empty cells."""
    with atomic_path(file) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def environment() -> dict[str, Any]:
    """Returns versions, devices and the git commit."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "packages": {package: _version(package) for package in PACKAGES},
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "git_commit": _git_commit(),
    }


def environment_text(own: Mapping[str, Any]) -> str:
    """Returns an `environment` as text, one line per entry."""
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
