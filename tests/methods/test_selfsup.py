import numpy as np
import pytest
import torch

from methods import METHODS
from methods.selfsup import SelfSupervised


def test_batches_hold_any_images_and_the_methods_own_loss_is_zero():
    method = SelfSupervised(places=range(7))
    sampler = method.sampler(3, 7, seed=0)
    sampler.set_epoch(method.begin_epoch(0, torch.device("cpu")), 0)
    rows = [draw.row for batch in sampler for draw in batch]
    assert np.bincount(rows).tolist() == [3] * 7
    descriptors = torch.randn(3, 4, requires_grad=True)
    assert method.loss(descriptors, torch.tensor([0, 1, 2])).item() == 0
    assert (method.parameters, method.optimizers) == ([], [])


def test_a_resumed_run_must_find_as_many_images():
    state = SelfSupervised(places=range(7)).state_dict()
    SelfSupervised(places=range(7)).load_state_dict(state)
    with pytest.raises(ValueError, match="7 training images, now there are 6"):
        SelfSupervised(places=range(6)).load_state_dict(state)


def test_it_looks_at_no_labels():
    assert METHODS["selfsup"] is SelfSupervised and not SelfSupervised.losses
