"""Checks of the batch size for a method and its additional losses, and their text in the log."""

from typing import Any

from commons.errors import UsageError
from commons.options import with_options
from methods import METHODS
from training.adaptation import DESCRIPTOR_ADAPTATIONS


def check_batches(settings: Any, processes: int) -> None:
    """Checks that the method and the additional losses can train with the batches, before any file is read.

    Args:
        settings: settings of train.py.
        processes: number of processes that share each batch.

    Raises:
        UsageError: if the batch is too small or cannot be shared equally.
    """
    if settings.run.cache_images == "ram" and processes > 1:
        raise UsageError("--cache_images ram: every process would hold all images; use --cache_images disk")
    size, chosen = settings.training.batch_size, settings.extras
    METHODS[settings.method.method].check(size, processes, **settings.method.method_options)
    pairs = {"a loss on two views": chosen.self_supervised_weight, "--adaptation coral": "coral" in chosen.adaptation}
    for what, wanted in pairs.items():
        if wanted and size < 2 * processes:
            raise UsageError(
                f"--batch_size {size}: {what} compares the images of a batch, so each of the {processes} process(es) "
                f"needs two; raise it to {2 * processes}"
            )


def training_text(settings: Any) -> str:
    """Returns the method, the loss and the miner with their options, for the log."""
    chosen, extras = settings.method, settings.extras
    parts = [with_options(chosen.method, chosen.method_options)]
    if chosen.loss != "none":
        parts.append(f"loss {with_options(chosen.loss, chosen.loss_options)}")
    elif chosen.method == "cells":
        parts.append(f"loss {' + '.join(settings.cells.cell_loss)}")
    if chosen.miner != "none":
        parts.append(f"miner {with_options(chosen.miner, chosen.miner_options)}")
    if chosen.matryoshka:
        parts.append(f"also of the first {', '.join(map(str, chosen.matryoshka))} dimensions")
    if extras.self_supervised_weight:
        loss = with_options(extras.self_supervised_loss, extras.self_supervised_loss_options)
        parts.append(f"{extras.self_supervised_weight:g} * {loss} on two views")
    for name in extras.adaptation:
        weight = f"{extras.adaptation_weight:g} * " if name in DESCRIPTOR_ADAPTATIONS else ""
        parts.append(f"{weight}{with_options(name, extras.adaptation_options[name])}")
    return ", ".join(parts)
