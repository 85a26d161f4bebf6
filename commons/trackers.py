"""Where a training's figures go beside its folder: TensorBoard and Weights & Biases, through accelerate."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, TensorBoardTracker, WandBTracker

from commons.errors import PlacewiseError, UsageError, did_you_mean, first_line

TRACKERS = ("tensorboard", "wandb")
PROJECT = "placewise"


def check_trackers(names: Sequence[str]) -> None:
    """Raises UsageError if one of `names` is none of TRACKERS, or its package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(
                f"--trackers {name}: choose from {', '.join(TRACKERS)}, none{did_you_mean(name, TRACKERS)}"
            )
        if find_spec(name) is None:
            raise UsageError(f"--trackers {name}: the package is not installed: pip install {name}")


def start_trackers(
    accelerator: Accelerator, names: Sequence[str], folder: Path, config: Mapping[str, Any], run_id: str, epoch: int
) -> None:
    """Starts the trackers, to which accelerator.log writes from then on; accelerator.end_training closes them.

    Args:
        accelerator: of the main process.
        names: some of TRACKERS.
        folder: of the run. TensorBoard's events lie in it, and what W&B keeps on this machine.
        config: flags of the run.
        run_id: of the run in W&B; a resumed run goes on under it.
        epoch: the first one to come: TensorBoard drops what it has of later ones.

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
        raise PlacewiseError(f"--trackers wandb: {line}; run `wandb login`, or set WANDB_MODE=offline") from error


def _tracker(name: str, folder: Path, config: Mapping[str, Any], run_id: str, epoch: int) -> GeneralTracker:
    if name == "tensorboard":
        return TensorBoardTracker(folder.name, folder.parent, purge_step=epoch)
    own = {"name": f"{folder.parent.name}/{folder.name}", "dir": str(folder), "id": run_id, "resume": "allow"}
    return WandBTracker(PROJECT, config=dict(config), **own)
