from copy import deepcopy

import numpy as np
import pytest
import torch

from datasets.grouping import Group
from losses import LOSSES
from methods import METHODS

CPU = torch.device("cpu")


def make() -> object:
    torch.manual_seed(0)
    groups = [Group(np.arange(n * 2), np.arange(0, n * 2 + 1, 2), (n, 0, 0)) for n in (3, 4)]
    return METHODS["cosplace"](groups, LOSSES["cosface"], 5, 0.01)


def step(method, epoch: int) -> torch.Tensor:
    method.begin_epoch(epoch, CPU)
    (optimizer,) = method.optimizers
    optimizer.zero_grad()
    descriptors = torch.nn.functional.normalize(
        torch.randn(3, 5, generator=torch.Generator().manual_seed(epoch)), dim=1
    )
    loss = method.loss(descriptors, torch.tensor([0, 1, 2]))
    loss.backward()
    optimizer.step()
    method.end_epoch()
    return loss.detach()


def test_epochs_take_groups_in_turn():
    method = make()
    assert [len(group) for epoch in range(4) for group in method.begin_epoch(epoch, CPU)] == [3, 4, 3, 4]


def test_only_the_current_classifier_learns():
    method = make()
    before = [classifier.W.detach().clone() for classifier in method.classifiers]
    step(method, 0)
    assert not torch.equal(method.classifiers[0].W, before[0])
    assert torch.equal(method.classifiers[1].W, before[1])


def test_state_dict_continues_exactly():
    first, second = make(), make()
    for epoch in range(3):
        step(first, epoch)
    second.load_state_dict(deepcopy(first.state_dict()))
    assert torch.equal(step(first, 3), step(second, 3))
    for a, b in zip(first.classifiers, second.classifiers, strict=True):
        assert torch.equal(a.W, b.W)


def test_other_classes_are_refused():
    state = make().state_dict()
    state["classifiers"].reverse()
    with pytest.raises(RuntimeError):
        make().load_state_dict(state)
