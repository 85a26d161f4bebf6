"""What a training shows while it runs: the progress bar, and a row of figures per epoch."""

import logging
import math
import time
from collections.abc import Mapping

from tqdm import tqdm

from commons.errors import PlacewiseError
from training.state import Progress


def show_progress(bar: tqdm, loss: float, images: int, started: float) -> None:
    """Writes the mean loss and the speed into the progress bar.

    Raises:
        PlacewiseError: if the loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise PlacewiseError("the loss is NaN or infinite: lower `lr` or `classifiers_lr`, or use `precision` fp32")
    bar.set_postfix_str(f"loss {loss:.3f}, {images / (time.monotonic() - started):.0f} img/s")


def epoch_row(
    progress: Progress,
    figures: Mapping[str, float],
    beside: Mapping[str, float],
    lr: float,
    iterations: int,
    images: int,
) -> dict[str, float]:
    """Returns the figures of an epoch, adds them to the history and logs them.

    Args:
        progress: at the end of the epoch.
        figures: figures of the validation.
        beside: means of the losses beside the method's; "loss" contains them with their weights.
        lr: learning rate of the network's last parameter group.
        iterations: iterations of the epoch.
        images: images of the epoch.
    """
    row = {
        "epoch": progress.epoch,
        "loss": progress.loss_sum / iterations,
        "images_per_second": images / progress.seconds,
        **{f"loss_{name}": value for name, value in beside.items()},
        "lr": lr,
        "seconds": progress.seconds,
        **{f"val_{name}": value for name, value in figures.items()},
    }
    progress.history = [old for old in progress.history if old["epoch"] < progress.epoch] + [row]
    parts = f" ({', '.join(f'{name} {value:.3f}' for name, value in beside.items())})" if beside else ""
    validation = ", ".join(f"{name} {value:.1f}" for name, value in figures.items())
    speed = f"{row['images_per_second']:.0f} images/s"
    logging.info(f"Epoch {progress.epoch}: loss {row['loss']:.3f}{parts}, {speed}, validation {validation}")
    return row
