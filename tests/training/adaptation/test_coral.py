import pytest
import torch
from torch.nn import functional as F

from training.adaptation.coral import Coral


def test_worked_by_hand():
    """Source (1, 0), (-1, 0): covariance diag(2, 0); target (0, 1), (0, -1): diag(0, 2). |difference|^2 / 4 = 2."""
    source, target = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    assert Coral(2)(source, target, 0.0).item() == pytest.approx(2)
    assert Coral(2)(source, source.flip(0), 0.0).item() == pytest.approx(0)


def test_equals_the_papers_formula_on_covariance_matrices():
    torch.manual_seed(0)
    source, target = (F.normalize(torch.randn(n, 6, dtype=torch.float64), dim=1) for n in (9, 5))
    d = 6
    difference = torch.cov(source.T * d**0.5) - torch.cov(target.T * d**0.5)
    expected = (difference**2).sum() / (4 * d**2)
    assert Coral(6)(source, target, 0.5).item() == pytest.approx(expected.item(), rel=1e-9)


def test_its_gradient_draws_the_covariances_together():
    torch.manual_seed(0)
    source = F.normalize(torch.randn(32, 4) * torch.tensor([3.0, 1, 1, 1]), dim=1).requires_grad_()
    target = F.normalize(torch.randn(32, 4) * torch.tensor([1.0, 1, 1, 3]), dim=1)
    before = Coral(4)(source, target, 0.0)
    before.backward()
    with torch.no_grad():
        assert Coral(4)(source - source.grad, target, 0.0) < before
