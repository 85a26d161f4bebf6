import math

import pytest
import torch

from losses.cosface import cosface


def test_equals_the_papers_formula_worked_by_hand():
    """x = (0.6, 0.8), classes e1 and e2, label e1: logits 30 * (0.6 - 0.4) = 6 and 30 * 0.8 = 24."""
    loss = cosface(num_classes=2, descriptor_dim=2)
    loss.W.data = torch.tensor([[2.0, 0.0], [0.0, 5.0]])  # columns are classes; their length must not matter
    value = loss(torch.tensor([[0.6, 0.8]]), torch.tensor([0]))
    assert value.item() == pytest.approx(-math.log(math.exp(6) / (math.exp(6) + math.exp(24))), abs=1e-6)


@pytest.mark.parametrize(("s", "m"), [(30.0, 0.40), (64.0, 0.35), (1.0, 0.0)])
def test_equals_the_formula_on_random_batches(s: float, m: float):
    torch.manual_seed(0)
    loss = cosface(7, 5, s=s, m=m).double()
    x = torch.nn.functional.normalize(torch.randn(6, 5, dtype=torch.float64), dim=1)
    labels = torch.tensor([0, 1, 6, 6, 3, 2])
    w = torch.nn.functional.normalize(loss.W.detach(), dim=0)
    expected = []
    for row, label in zip(x, labels.tolist(), strict=True):
        logits = [s * (float(row @ w[:, j]) - (m if j == label else 0)) for j in range(7)]
        expected.append(-logits[label] + math.log(sum(math.exp(v) for v in logits)))
    assert loss(x, labels).item() == pytest.approx(sum(expected) / 6, abs=1e-6)


def test_weights_start_as_in_the_reference():
    """Xavier-uniform: variance 2 / (inputs + outputs)."""
    torch.manual_seed(0)
    weights = cosface(400, 500).W
    assert weights.abs().max() <= math.sqrt(6 / 900)
    assert weights.var().item() == pytest.approx(2 / 900, rel=0.02)
