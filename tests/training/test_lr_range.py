import numpy as np
import pytest
import torch
from torch import nn

from training.lr_range import RisingRate, analyse, diverged


def test_the_rate_rises_exponentially_and_groups_keep_their_ratio():
    groups = [{"params": [nn.Parameter(torch.zeros(2))], "lr": rate} for rate in (0.02, 0.01)]
    rising = RisingRate(torch.optim.SGD(groups), 1e-4, 1.0, 5)
    assert [rising.rate(iteration) for iteration in range(5)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    rising.begin_iteration(0, 2)
    assert [group["lr"] for group in rising.optimizer.param_groups] == pytest.approx([0.01, 0.005])


def curve(noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Falls by 2 around 1e-3, and rises from 0.1 on; between is a flat minimum near 3e-2."""
    rates = np.geomspace(1e-6, 1.0, 200)
    fall = 2 / (1 + (rates / 1e-3) ** 1.5)
    return rates, 3 + fall + (rates / 0.2) ** 2 + noise * np.random.default_rng(0).standard_normal(200)


@pytest.mark.parametrize(("noise", "factor"), [(0.0, 1.1), (0.15, 2.0)])
def test_finds_the_steepest_descent_and_the_minimum(noise: float, factor: float):
    rates, losses = curve(noise)
    test = analyse(rates, losses)
    assert 1e-3 / factor < rates[test.steepest] < 1e-3 * factor
    assert 0.01 < rates[test.minimum] < 0.06 and test.falls
    assert np.abs(test.smoothed - curve()[1])[25:150].max() < max(0.1, noise)
    assert test.suggested == min(rates[test.steepest], rates[test.minimum] / 10)


def test_the_suggestion_stays_a_tenth_below_the_minimum():
    rates = np.geomspace(1e-5, 1.0, 100)
    losses = np.abs(np.log10(rates) + 2.0) ** 0.5  # steepest at its minimum, 1e-2
    test = analyse(rates, losses)
    assert test.suggested == pytest.approx(1e-3, rel=0.3) and rates[test.steepest] > test.suggested


def test_the_start_does_not_count():
    """A classifier's own learning makes the loss fall steeply in the first iterations."""
    rates, losses = curve()
    losses[:15] += np.linspace(5, 0, 15)
    test = analyse(rates, losses)
    assert 1e-3 / 1.1 < rates[test.steepest] < 1e-3 * 1.1


def test_a_loss_that_rises_has_no_suggestion():
    assert not analyse(np.geomspace(1e-5, 1.0, 50), np.linspace(1.0, 2.0, 50)).falls


@pytest.mark.parametrize(
    ("losses", "wanted"),
    [
        ([5.0, 4.0, 3.0, 3.5], False),
        ([5.0, 1.0, 12.0], False),
        ([5.0, 1.0, 14.0], True),  # above 1 + 3 * (5 - 1)
        ([5.0, float("nan")], True),
        ([5.0, float("inf")], True),
        ([-1.0, -2.0, -1.5], False),
        ([-1.0, -2.0, 5.0], True),  # above -2 + 3 * 2
        ([7.0], False),
    ],
)
def test_divergence(losses: list[float], wanted: bool):
    assert diverged(losses) is wanted
