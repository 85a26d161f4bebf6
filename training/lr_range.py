"""The learning-rate range test (https://arxiv.org/abs/1506.01186): losses while the learning rate rises."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

SMOOTHING = 0.05  # standard deviation of the smoothing, as a share of the iterations
SKIPPED = 0.1  # share of the iterations at the start that is ignored, where new classifiers make the loss fall
DIVERGED = 4.0  # the test ends where the loss exceeds its minimum by this factor
FROM_MINIMUM = 10.0  # a common rule: the learning rate of the smallest loss divided by 10


class RisingRate:
    """Takes the place of a schedule: the learning rate rises exponentially from `lowest` to `highest`.

    Groups with a lower learning rate, as with layer-wise decay, keep their ratio to the highest one.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, lowest: float, highest: float, iterations: int) -> None:
        """Args:
        optimizer: the present rates of its groups set their ratios.
        lowest, highest: learning rates of the first and the last iteration.
        iterations: length of the test, at least 2.
        """
        self.optimizer, self.lowest, self.highest, self.iterations = optimizer, lowest, highest, iterations
        most = max(group["lr"] for group in optimizer.param_groups)
        self.ratios = [group["lr"] / most for group in optimizer.param_groups]

    def rate(self, iteration: int) -> float:
        """Returns the learning rate in iteration `iteration` (from 0)."""
        return self.lowest * (self.highest / self.lowest) ** (iteration / (self.iterations - 1))

    def begin_iteration(self, epoch: int, iteration: int) -> None:
        """Sets the rates for an iteration (from 0) of the only epoch."""
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            group["lr"] = self.rate(iteration) * ratio


@dataclass(frozen=True)
class RangeTest:
    """The result of a range test.

    Attributes:
        rates: learning rates in ascending order, (n,).
        losses: loss of the batch at each rate, (n,).
        smoothed: losses, smoothed by a Gaussian over neighbouring iterations, (n,); NaN in the first tenth, which is
            ignored.
        steepest: index at which the smoothed loss falls fastest over the logarithm of the rate, up to the minimum.
        minimum: index of the smallest smoothed loss.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    steepest: int
    minimum: int

    @property
    def falls(self) -> bool:
        """Whether the loss falls after the skipped start: otherwise no learning rate can be suggested."""
        return self.steepest < self.minimum

    @property
    def suggested(self) -> float:
        """The learning rate of the steepest descent, at most a tenth of that of the smallest loss."""
        return float(min(self.rates[self.steepest], self.rates[self.minimum] / FROM_MINIMUM))


def diverged(losses: Sequence[float]) -> bool:
    """Returns whether the last loss is not finite, or far above the smallest one.

    Losses may be negative; what counts is the rise above the minimum, in units of the range before.
    """
    last, least = losses[-1], min(losses)
    if not np.isfinite(last):
        return True
    return last > least + (DIVERGED - 1) * max(abs(least), losses[0] - least)


def analyse(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Smooths the losses of a range test, and finds the steepest descent and the minimum.

    Args:
        rates: learning rates, ascending, at least 3.
        losses: finite loss at each.
    """
    own, measured = np.asarray(rates, np.float64), np.asarray(losses, np.float64)
    start = round(SKIPPED * len(own))
    smoothed = np.full(len(own), np.nan)
    smoothed[start:] = gaussian_filter1d(measured[start:], max(1.0, SMOOTHING * len(own)), mode="nearest")
    minimum = int(np.nanargmin(smoothed))
    slopes = np.gradient(smoothed[start:], np.log(own[start:]))
    steepest = start + int(np.argmin(slopes[: minimum - start + 1]))
    return RangeTest(own, measured, smoothed, steepest, minimum)
