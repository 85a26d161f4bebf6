"""From a loss to new weights: gradients, accumulation, clipping, loss scaling, moving average."""

from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel

from commons.distributed import average_gradients
from training.optimizers import build_optimizer, read_optimizer_options
from training.schedules import Schedule


class Updates:
    """Updates the network, and what is trained beside it."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        scaler: torch.amp.GradScaler,
        beside: tuple[Any, ...],
        accelerator: Accelerator,
        accumulate: int = 1,
        clip_grad: float = 0.0,
        average: AveragedModel | None = None,
    ) -> None:
        """Args:
        network: not wrapped for several processes.
        optimizer, schedule: of the network.
        scaler: scaler of the loss; enabled for fp16.
        beside: what has `parameters` and `optimizers` of its own, such as a method.
        accelerator: the processes that share the work.
        accumulate: batches whose gradients are averaged before each update.
        clip_grad: maximum gradient norm of the network; 0 disables clipping.
        average: moving average of the network, if there is one.
        """
        self.network, self.optimizer, self.schedule, self.scaler = network, optimizer, schedule, scaler
        self.beside, self.accelerator = beside, accelerator
        self.accumulate, self.clip_grad, self.average = accumulate, clip_grad, average
        self.trained = [parameter for parameter in network.parameters() if parameter.requires_grad]

    @classmethod
    def of(
        cls,
        settings: Any,
        network: nn.Module,
        beside: tuple[Any, ...],
        scaler: torch.amp.GradScaler,
        average: AveragedModel | None,
        accelerator: Accelerator,
    ) -> "Updates":
        """Builds optimizer and schedule from the settings of train.py, `training` and `optimizer`."""
        length, chosen = settings.training, settings.optimizer
        options = read_optimizer_options(chosen.optimizer_options)
        optimizer = build_optimizer(
            network, chosen.optimizer, chosen.lr, chosen.weight_decay, chosen.layer_decay, options,
            length.classifiers_lr,
        )  # fmt: skip
        schedule = Schedule(
            chosen.scheduler, optimizer, length.epochs_num, length.iterations_per_epoch, chosen.warmup_iterations,
            chosen.milestones, chosen.lr_gamma, chosen.plateau_patience, chosen.lr_power,
        )  # fmt: skip
        return cls(
            network, optimizer, schedule, scaler, beside, accelerator, chosen.accumulate, chosen.clip_grad, average
        )

    def take(self, loss: torch.Tensor, epoch: int, iteration: int) -> None:
        """Adds the gradient of a batch's loss and, after the last batch of an update, updates the weights.

        Args:
            loss: scalar.
            epoch: epoch, from 0.
            iteration: iteration of the epoch, from 1.
        """
        optimizers = (self.optimizer, *(own for part in self.beside for own in part.optimizers))
        if (iteration - 1) % self.accumulate == 0:
            for optimizer in optimizers:
                optimizer.zero_grad()
        self.scaler.scale(loss / self.accumulate).backward()
        if iteration % self.accumulate:
            return
        average_gradients([own for part in self.beside for own in part.parameters], self.accelerator)
        self.schedule.begin_iteration(epoch, iteration - 1)
        if self.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.trained, self.clip_grad)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)
