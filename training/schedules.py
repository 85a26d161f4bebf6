"""Schedules of the learning rate: a factor computed from the iteration, so a resumed run needs no state of it.

Adding a schedule is a function here, from the share of the training that is done to a factor, and a line in SCHEDULES.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def constant(progress: float) -> float:
    """1 in every iteration."""
    return 1.0


def cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine (https://arxiv.org/abs/1608.03983, eq. 5 without restarts)."""
    return (1 + math.cos(math.pi * progress)) / 2


def cosine_tenth(progress: float) -> float:
    """From 1 to 1/10 along half a cosine (https://arxiv.org/abs/2409.16763)."""
    return 0.1 + 0.9 * cosine(progress)


def one_cycle(progress: float) -> float:
    """From 1/25 up to 1 in the first 30 %, then down to 1/250,000, both along half a cosine, with PyTorch's defaults
    (https://arxiv.org/abs/1708.07120)."""
    rise = 0.3
    if progress < rise:
        return 1 - (1 - 1 / 25) * cosine(progress / rise)
    return 1 / 250_000 + (1 - 1 / 250_000) * cosine((progress - rise) / (1 - rise))


def polynomial(progress: float, power: float = 1.0) -> float:
    """From 1 to 0 as (1 - progress)^power; with power 1, the default of TensorFlow and PyTorch, along a line."""
    return (1 - progress) ** power


SCHEDULES: dict[str, Callable[[float], float]] = {
    "none": constant,
    "cosine": cosine,
    "onecycle": one_cycle,
    "polynomial": polynomial,
    "multistep": constant,
    "plateau": constant,
    "cosine_tenth": cosine_tenth,
}


class Schedule:
    """Sets an optimizer's learning rates to the initial ones, times the factors of schedule, warm-up and milestones."""

    def __init__(
        self,
        name: str,
        optimizer: torch.optim.Optimizer,
        epochs: int,
        iterations_per_epoch: int,
        warmup_iterations: int = 0,
        milestones: Sequence[int] = (),
        gamma: float = 0.1,
        plateau_patience: int = 3,
        power: float = 1.0,
    ) -> None:
        """Args:
        name: one of SCHEDULES.
        optimizer: the present rates of its groups are the initial ones.
        epochs, iterations_per_epoch: length of the training.
        warmup_iterations: first iterations, in which the rate rises linearly to the rate of the schedule.
        milestones: for "multistep", epochs at which the rate is multiplied by gamma.
        gamma: factor of "multistep" and "plateau".
        plateau_patience: for "plateau", epochs without a better score before the rate is multiplied by gamma.
        power: power of "polynomial".
        """
        self.name, self.optimizer = name, optimizer
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.iterations, self.iterations_per_epoch = epochs * iterations_per_epoch, iterations_per_epoch
        self.warmup, self.milestones, self.gamma = warmup_iterations, milestones, gamma
        self.patience = plateau_patience
        self.shape = partial(polynomial, power=power) if name == "polynomial" else SCHEDULES[name]
        self.best, self.bad_epochs, self.drops = -math.inf, 0, 0

    def factor(self, epoch: int, iteration: int) -> float:
        """Returns the factor in iteration `iteration` (from 0) of epoch `epoch` (from 0)."""
        done = epoch * self.iterations_per_epoch + iteration
        factor = self.shape(min(done / max(self.iterations, 1), 1.0)) * self.gamma**self.drops
        if self.name == "multistep":
            factor *= self.gamma ** sum(epoch >= milestone for milestone in self.milestones)
        return factor * min(1.0, (done + 1) / (self.warmup + 1))

    def begin_iteration(self, epoch: int, iteration: int) -> None:
        """Sets the rates for an iteration, numbered as for `factor`."""
        factor = self.factor(epoch, iteration)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def end_epoch(self, score: float) -> None:
        """Records the result of a validation, which "plateau" depends on.

        Args:
            score: the validation's main metric, higher is better (negated where lower is better).
        """
        self.bad_epochs = 0 if score > self.best else self.bad_epochs + 1
        self.best = max(self.best, score)
        if self.name == "plateau" and self.bad_epochs > self.patience:
            self.bad_epochs, self.drops = 0, self.drops + 1

    def state_dict(self) -> dict[str, float]:
        """Returns the state that the iteration does not give."""
        return {"best": self.best, "bad_epochs": self.bad_epochs, "drops": self.drops}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restores what `state_dict` returned."""
        self.best, self.bad_epochs, self.drops = state["best"], state["bad_epochs"], state["drops"]
