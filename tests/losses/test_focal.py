import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from losses import CLASSIFICATION
from losses.focal import FocalCrossEntropy
from tests.losses.batches import batch, gradients


def test_equals_the_papers_formula_worked_by_hand():
    """Probabilities 0.8 and 0.2: -(1 - 0.8)^2 log 0.8 and -(1 - 0.2)^2 log 0.2."""
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.8, 0.2]]))
    found = FocalCrossEntropy(2.0)(logits, torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([-0.04 * math.log(0.8), -0.64 * math.log(0.2)], rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradient_is_finite_for_certain_samples(gamma: float):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    loss = FocalCrossEntropy(gamma)(logits, torch.tensor([0, 0]))
    assert loss[0] == 0 and loss[1] == 200
    assert gradients(loss.sum(), logits).isfinite().all()


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_every_classification_loss_takes_it(name: str):
    x, labels = batch()
    torch.manual_seed(0)
    plain = CLASSIFICATION[name](4, 6).double()
    focal = CLASSIFICATION[name](4, 6, focal=2.0).double()
    focal.W.data = plain.W.data
    logits = []
    plain.cross_entropy.register_forward_pre_hook(lambda _, inputs: logits.append(inputs[0]))
    plain(x, labels)
    losses = cross_entropy(logits[0], labels, reduction="none")
    expected = ((1 - torch.exp(-losses)) ** 2 * losses).mean()
    assert focal(x, labels).item() == pytest.approx(expected.item(), rel=1e-9)
