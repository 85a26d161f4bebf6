import math

import pytest
import torch
from torch.nn.functional import normalize

from losses.arcface import arcface, subcenter_arcface
from tests.losses.batches import batch, gradients


def test_equals_the_papers_formula_worked_by_hand():
    """x is at 60 degrees of its class, 90 with the margin, and at 30 of the other: 0 against cos 30."""
    loss = arcface(2, 2, m=math.pi / 6, s=2.0)
    loss.W.data = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    value = loss(torch.tensor([[0.5, math.sqrt(3) / 2]]), torch.tensor([0]))
    assert value.item() == pytest.approx(math.log(1 + math.exp(2 * math.sqrt(3) / 2)), abs=1e-5)


def test_equals_the_formula_on_random_batches():
    x, labels = batch()
    loss = arcface(5, 6, m=0.3, s=16.0).double()
    cosine = x @ normalize(loss.W, dim=0)
    own = cosine[range(12), labels]
    moved = cosine.clone()
    beyond = own < math.cos(math.pi - 0.3)
    added = own * math.cos(0.3) - (1 - own**2).sqrt() * math.sin(0.3)
    moved[range(12), labels] = torch.where(beyond, own - 0.3 * math.sin(0.3), added)
    expected = torch.nn.functional.cross_entropy(16 * moved, labels)
    assert loss(x, labels).item() == pytest.approx(expected.item(), abs=1e-9)


def test_subcenters_take_the_nearest_centre_of_each_class():
    x, labels = batch()
    loss = subcenter_arcface(4, 6, m=0.2, s=10.0, k=2).double()
    centres = normalize(loss.W, dim=0).T.view(4, 2, 6)
    cosine = torch.einsum("bd,ckd->bck", x, centres).amax(2)
    own = cosine[range(12), labels]
    moved = cosine.clone()
    beyond = own < math.cos(math.pi - 0.2)
    moved[range(12), labels] = torch.where(beyond, own - 0.2 * math.sin(0.2), torch.cos(own.acos() + 0.2))
    assert loss(x, labels).item() == pytest.approx(
        torch.nn.functional.cross_entropy(10 * moved, labels).item(), abs=1e-9
    )


@pytest.mark.parametrize("make", [arcface, subcenter_arcface])
def test_gradients_are_finite_where_a_descriptor_is_its_class_or_its_opposite(make):
    loss = make(2, 2)
    loss.W.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(loss.W.shape[1] // 2, dim=1)
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    value = loss(x, torch.tensor([0, 0]))
    assert value.isfinite() and gradients(value, x).isfinite().all()
    angles = loss.get_angles(torch.tensor([1.0, -1.0]))
    assert 0.001 < angles[0] < 0.002 and math.pi - 0.002 < angles[1] < math.pi - 0.001
