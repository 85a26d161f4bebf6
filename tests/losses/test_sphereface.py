import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from losses.sphereface import sphereface
from tests.losses.batches import batch, gradients


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_equals_the_papers_formula(m: int):
    """psi by its definition, angle by angle; every interval n occurs."""
    x, labels = batch(places=5)
    loss = sphereface(6, 6, m=m, s=3.0).double()
    cosine = x @ normalize(loss.W, dim=0)
    seen = set()
    for row, label in enumerate(labels.tolist()):
        angle = math.acos(cosine[row, label].item())
        n = math.floor(m * angle / math.pi)
        seen.add(n)
        cosine[row, label] = (-1) ** n * math.cos(m * angle) - 2 * n
    assert loss(x, labels).item() == pytest.approx(cross_entropy(3 * cosine, labels).item(), abs=1e-6)
    assert len(seen) > 1 or m == 1


def test_gradients_are_finite_at_the_class_itself():
    loss = sphereface(2, 2)
    loss.W.data = torch.eye(2)
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    value = loss(x, torch.tensor([0, 0, 0]))
    assert value.isfinite() and gradients(value, x).isfinite().all()
