"""The state of a training: saved, restored to the same bits, and the best network beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.distributed import share_from_main
from commons.errors import PlacewiseError, first_line
from commons.seeding import random_states, restore_random_states

LAST, BEST = "last_checkpoint.pth", "best_model.pth"


class Part(Protocol):
    """What has a state: a network, an optimizer, a method."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@dataclass
class Progress:
    """Where a training stands, beside the state of its parts.

    Attributes:
        epoch, iteration: the next ones.
        loss_sum, seconds: of the epoch so far.
        best: main metric of the best epoch; None before the first validation.
        best_epoch: its number.
        history: the rows of metrics.csv.
        results: results of the test sets evaluated so far, by their names.
        run_id: identifier of the run in trackers.
    """

    epoch: int = 0
    iteration: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: uuid4().hex)

    def next_epoch(self) -> None:
        """Goes to the beginning of the next epoch."""
        self.epoch, self.iteration, self.loss_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0


class TrainingState:
    """Everything that a resumed run needs.

    Attributes:
        parts: what has a state, by name.
        progress: where the training stands.
        folder: folder of the run; None except on the main process.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        scaler: torch.amp.GradScaler,
        config: Mapping[str, Any],
        record: Mapping[str, Any],
        folder: Path | None,
        accelerator: Accelerator,
    ) -> None:
        """Args:
        parts: what has a state, by name.
        scaler: scaler of fp16 gradients.
        config: the settings of the run.
        record: what else checkpoints say of it.
        folder: folder of the run; None except on the main process.
        accelerator: the processes of the run.
        """
        self.parts, self.scaler, self.config, self.record = dict(parts), scaler, dict(config), dict(record)
        self.folder, self.accelerator = folder, accelerator
        self.progress = Progress()

    def save(self) -> None:
        """Writes last_checkpoint.pth, with the random states of all processes; all of them call it."""
        states = gather_object([random_states()])
        if self.folder is not None:
            parts = {name: part.state_dict() for name, part in self.parts.items()}
            position = asdict(self.progress) | {"random_states": states}
            about = self.record | {"config": self.config, "position": position}
            save_checkpoint(parts | {"scaler": self.scaler.state_dict()} | about, self.folder / LAST)

    def save_best(self, network: nn.Module) -> None:
        """Writes best_model.pth, on the main process."""
        if self.folder is not None:
            about = {"config": self.config, "epoch": self.progress.epoch, "results": self.progress.results}
            save_checkpoint({"network": network.state_dict()} | about | self.record, self.folder / BEST)

    def restore(self, checkpoint: Mapping[str, Any], file: str | Path) -> None:
        """Loads everything that last_checkpoint.pth holds; those of earlier versions may have fewer parts.

        Raises:
            PlacewiseError: if it does not fit, or best_model.pth is missing beside it.
        """
        name = ""
        try:
            for name in self.parts.keys() & checkpoint.keys():
                self.parts[name].load_state_dict(checkpoint[name])
            name = "scaler"
            if checkpoint["scaler"] and self.scaler.is_enabled():
                self.scaler.load_state_dict(checkpoint["scaler"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise PlacewiseError(
                f"`resume_train` {file}: its {name} does not fit ({first_line(error)}); have the training images "
                "changed, or was it written by another version?"
            ) from error
        position = dict(checkpoint["position"])
        states = position.pop("random_states")
        self.progress = _read(position)
        folder = Path(file).parent
        if self.progress.best is not None and not (folder / BEST).is_file():
            raise PlacewiseError(f"{folder}: {BEST} is missing; restore it next to {LAST}")
        restore_random_states(states[self.accelerator.process_index % len(states)])

    def load_best(self, network: nn.Module) -> None:
        """Loads the weights of the best epoch into the network of every process."""
        if self.folder is not None:
            network.load_state_dict(load_checkpoint(self.folder / BEST)["network"])
        share_from_main([*network.parameters(), *network.buffers()], self.accelerator)


def _read(position: dict[str, Any]) -> Progress:
    """Reads a position, also of the first layout, which knew no other metric than recall."""
    if "best_recall" in position:
        recall = position["best_recall"]
        position["best"] = recall if recall >= 0 else None
    position.setdefault("best_epoch", position["epoch"])
    names = {declared.name for declared in fields(Progress)}
    return Progress(**{name: value for name, value in position.items() if name in names})
