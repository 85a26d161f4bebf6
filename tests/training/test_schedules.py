import pytest
import timm.scheduler
import torch
from torch import nn

from training.schedules import SCHEDULES, Schedule


def optimizer(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(2))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates(schedule: Schedule, epochs: int, iterations: int) -> list[float]:
    found = []
    for epoch in range(epochs):
        for iteration in range(iterations):
            schedule.begin_iteration(epoch, iteration)
            found.append(schedule.optimizer.param_groups[0]["lr"])
    return found


def test_cosine_by_hand() -> None:
    values = rates(Schedule("cosine", optimizer(2.0), 2, 2), 2, 2)
    assert values == pytest.approx([2.0, 1 + 0.5**0.5, 1.0, 1 - 0.5**0.5])


def test_cosine_tenth_ends_at_a_tenth() -> None:
    values = rates(Schedule("cosine_tenth", optimizer(2.0), 2, 2), 2, 2)
    assert values == pytest.approx([2.0, 1.1 + 0.9 * 0.5**0.5, 1.1, 1.1 - 0.9 * 0.5**0.5])
    assert SCHEDULES["cosine_tenth"](1.0) == pytest.approx(0.1)


def test_cosine_and_one_cycle_equal_pytorch() -> None:
    own = rates(Schedule("cosine", optimizer(0.3), 4, 5), 4, 5)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer(0.3), 20)
    assert own == pytest.approx(_run(theirs, 20))
    # PyTorch counts to the last iteration, so 21 of its iterations are 20 of ours and the end.
    own = [0.3 * SCHEDULES["onecycle"](i / 20) for i in range(21)]
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer(0.3), 0.3, total_steps=21, pct_start=7 / 21)
    assert own == pytest.approx(_run(theirs, 21), rel=1e-4)


def test_polynomial_by_hand() -> None:
    assert rates(Schedule("polynomial", optimizer(2.0), 2, 2), 2, 2) == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert rates(Schedule("polynomial", optimizer(2.0), 2, 2, power=2.0), 2, 2) == [2.0, 1.125, 0.5, 0.125]
    warm = rates(Schedule("polynomial", optimizer(1.0), 1, 4, warmup_iterations=1, power=0.5), 1, 4)
    assert warm == pytest.approx([0.5, 0.75**0.5, 0.5**0.5, 0.5])


@pytest.mark.parametrize("power", [0.5, 0.9, 1.0, 3.0])
def test_polynomial_equals_pytorchs_and_timms(power: float) -> None:
    own = rates(Schedule("polynomial", optimizer(0.3), 4, 5, power=power), 4, 5)
    theirs = torch.optim.lr_scheduler.PolynomialLR(optimizer(0.3), 20, power)
    assert own == pytest.approx(_run(theirs, 20))
    theirs = timm.scheduler.PolyLRScheduler(optimizer(0.3), t_initial=20, power=power, t_in_epochs=False)
    found = []
    for iteration in range(20):
        theirs.step_update(iteration)
        found.append(theirs.optimizer.param_groups[0]["lr"])
    assert own == pytest.approx(found, rel=1e-12)


def _run(scheduler: torch.optim.lr_scheduler.LRScheduler, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        if len(found) < count:
            scheduler.step()
    return found


def test_multistep_and_every_group() -> None:
    schedule = Schedule("multistep", optimizer(1.0, 0.5), 4, 1, milestones=(1, 3), gamma=0.1)
    assert rates(schedule, 4, 1) == pytest.approx([1.0, 0.1, 0.1, 0.01])
    assert schedule.optimizer.param_groups[1]["lr"] == pytest.approx(0.005)


def test_warm_up_rises_to_the_schedule() -> None:
    values = rates(Schedule("none", optimizer(1.0), 1, 6, warmup_iterations=3), 1, 6)
    assert values == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_plateau_drops_after_its_patience_and_resumes() -> None:
    schedule = Schedule("plateau", optimizer(1.0), 9, 1, gamma=0.5, plateau_patience=1)
    seen = []
    for epoch, score in enumerate([50.0, 60.0, 60.0, 55.0, 58.0, 61.0]):
        schedule.begin_iteration(epoch, 0)
        seen.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.end_epoch(score)
    assert seen == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    again = Schedule("plateau", optimizer(1.0), 9, 1, gamma=0.5, plateau_patience=1)
    again.load_state_dict(schedule.state_dict())
    again.begin_iteration(6, 0)
    assert again.optimizer.param_groups[0]["lr"] == 0.5
    assert again.best == 61.0


def test_plateau_takes_negated_errors() -> None:
    """A median error of 30, 20, 20 and 25 km: two epochs without a better one, so one drop."""
    schedule = Schedule("plateau", optimizer(1.0), 9, 1, gamma=0.5, plateau_patience=1)
    for error in (30.0, 20.0, 20.0, 25.0):
        schedule.end_epoch(-error)
    assert schedule.state_dict() == {"best": -20.0, "bad_epochs": 0, "drops": 1}
    assert schedule.factor(4, 0) == 0.5


def test_other_schedules_ignore_the_score() -> None:
    schedule = Schedule("none", optimizer(1.0), 9, 1)
    for _ in range(8):
        schedule.end_epoch(1.0)
    assert rates(schedule, 1, 1) == [1.0]


def test_cosine_equals_timms() -> None:
    own = rates(Schedule("cosine", optimizer(0.3), 4, 5), 4, 5)
    theirs = timm.scheduler.CosineLRScheduler(optimizer(0.3), t_initial=20, t_in_epochs=False)
    found = []
    for iteration in range(20):
        theirs.step_update(iteration)
        found.append(theirs.optimizer.param_groups[0]["lr"])
    assert own == pytest.approx(found, rel=1e-12)


def test_multistep_equals_pytorch() -> None:
    own = rates(Schedule("multistep", optimizer(0.3), 6, 1, milestones=(2, 5), gamma=0.2), 6, 1)
    assert own == pytest.approx(_run(torch.optim.lr_scheduler.MultiStepLR(optimizer(0.3), [2, 5], 0.2), 6), rel=1e-12)


def test_plateau_equals_pytorch() -> None:
    """Without the threshold by which PyTorch asks a score to be better."""
    schedule = Schedule("plateau", optimizer(0.3), 40, 1, gamma=0.5, plateau_patience=2)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer(0.3), "max", 0.5, patience=2, threshold=0)
    draw = torch.Generator().manual_seed(0)
    for epoch in range(40):
        schedule.begin_iteration(epoch, 0)
        assert schedule.optimizer.param_groups[0]["lr"] == pytest.approx(theirs.optimizer.param_groups[0]["lr"])
        score = float(torch.rand((), generator=draw))
        schedule.end_epoch(score)
        theirs.step(score)
    assert schedule.drops > 3
