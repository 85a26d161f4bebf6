"""Trackers of training metrics: TensorBoard and Weights & Biases (W&B), through accelerate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commons.errors import ArgumentError, PlacewiseError, did_you_mean, first_line
from commons.registry import Registry

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.tracking import GeneralTracker

TRACKERS = Registry(
    {"tensorboard": "accelerate.tracking:TensorBoardTracker", "wandb": "accelerate.tracking:WandBTracker"}
)
PROJECT = "placewise"


def check_trackers(names: Sequence[str]) -> None:
    """Raises ArgumentError if one of `names` is not in TRACKERS, or its package is not installed."""
    for name in names:
        if name not in TRACKERS:
            known = ", ".join(TRACKERS)
            raise ArgumentError(
                "trackers", f"{name} is unknown{did_you_mean(name, TRACKERS)}; choose from {known}, none"
            )
        if find_spec(name) is None:
            raise ArgumentError("trackers", f"{name} is not installed: pip install {name}")


def start_trackers(
    accelerator: Accelerator, names: Sequence[str], folder: Path, config: Mapping[str, Any], run_id: str, epoch: int
) -> None:
    """Starts the trackers that accelerator.log writes to; accelerator.end_training closes them.

    Args:
        accelerator: accelerator of the main process.
        names: names in TRACKERS.
        folder: folder of the run, to which TensorBoard's events and W&B's local files are written.
        config: settings of the run.
        run_id: ID of the run in W&B; a resumed run keeps it.
        epoch: next epoch; TensorBoard removes its records of this and later epochs.

    Raises:
        PlacewiseError: if W&B does not start.
    """
    accelerator.log_with = [_tracker(name, folder, config, run_id, epoch) for name in names]
    try:
        accelerator.init_trackers(PROJECT)
    except Exception as error:
        if not type(error).__module__.startswith("wandb"):
            raise
        line = first_line(error).rstrip(".")
        raise PlacewiseError(f"`trackers` wandb: {line}; run wandb login, or set WANDB_MODE=offline") from error


def _tracker(name: str, folder: Path, config: Mapping[str, Any], run_id: str, epoch: int) -> GeneralTracker:
    if name == "tensorboard":
        return TRACKERS[name](folder.name, folder.parent, purge_step=epoch)
    own = {"name": f"{folder.parent.name}/{folder.name}", "dir": str(folder), "id": run_id, "resume": "allow"}
    return TRACKERS[name](PROJECT, config=dict(config), **own)
