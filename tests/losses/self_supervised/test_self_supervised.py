"""The three losses. Tests with numbers worked out by hand replace the projectors."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss
from torch import nn

from commons.errors import ArgumentError
from losses.self_supervised import SELF_SUPERVISED
from losses.self_supervised.barlow_twins import BarlowTwins
from losses.self_supervised.simclr import SimCLR
from losses.self_supervised.vicreg import VICReg

SMALL = {"vicreg": {"width": 16}, "barlow_twins": {"width": 16}, "simclr": {"hidden": 16, "outputs": 8}}


def bare(loss: nn.Module) -> nn.Module:
    loss.projector = nn.Identity()
    return loss


def test_vicreg_worked_by_hand():
    """z: variances 2 and 0, covariance 0; z': variances 0.5 and 0.5, covariance 0.5."""
    z = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    other = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    invariance = (0 + 1 + 1 + 0) / 4
    std = [math.sqrt(2 + 1e-4), math.sqrt(1e-4), math.sqrt(0.5 + 1e-4), math.sqrt(0.5 + 1e-4)]
    variance = sum(max(0.0, 1 - s) for s in std) / 4
    covariance = (0 + 0) / 2 + (0.25 + 0.25) / 2
    for weights in ((25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 3.0)):
        names = dict(zip(("invariance", "variance", "covariance"), weights, strict=True))
        expected = weights[0] * invariance + weights[1] * variance + weights[2] * covariance
        assert bare(VICReg(2, **names, width=2, layers=1))(z, other).item() == pytest.approx(expected, abs=1e-5)


def test_vicreg_could_not_be_content_with_descriptors_themselves():
    """Unit vectors of d dimensions leave at least 1 - 1 / sqrt(d) of the variance term; their projections do not."""
    torch.manual_seed(0)
    unit = nn.functional.normalize(torch.randn(64, 16), dim=1)
    variance = VICReg(16, invariance=0.0, variance=1.0, covariance=0.0, width=32)
    nn.init.orthogonal_(variance.projector[-1].weight, gain=2.0)
    assert variance(unit, unit) < 0.3
    assert bare(variance)(unit, unit) > 0.7


def test_barlow_twins_worked_by_hand():
    """Components are standardised to +-1; z' has the second one turned round and the first one's sign in half."""
    z = torch.tensor([[1.0, 10.0], [1.0, 30.0], [3.0, 10.0], [3.0, 30.0]])
    other = torch.tensor([[0.0, 5.0], [0.0, 4.0], [1.0, 5.0], [1.0, 4.0]])
    # c = [[1, 0], [0, -1]]: (1 - 1)^2 + (1 + 1)^2 = 4
    assert bare(BarlowTwins(2, width=2, layers=1))(z, other).item() == pytest.approx(4, abs=1e-3)
    # c = [[0, 1], [1, 0]] for swapped components: 1 + 1 + 0.5 * (1 + 1)
    swapped = bare(BarlowTwins(2, redundancy=0.5, width=2, layers=1))
    assert swapped(z, z.flip(1)).item() == pytest.approx(3, abs=1e-3)


def test_simclr_worked_by_hand():
    """Views of image 1: e1 and e1; of image 2: e2 and -e1. Similarities to the others: (1, 0, -1), (0, 0, 0), ..."""
    t = 0.5
    first = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    second = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    e = [math.exp(x / t) for x in (-1, 0, 1)]
    ends = -math.log(e[2] / (e[2] + e[1] + e[0]))  # e1 with e1 among e1, e2, -e1; twice
    middle = -math.log(1 / 3)  # e2 is at right angles to all
    last = -math.log(e[1] / (e[1] + 2 * e[0]))  # -e1 with e2 among e2, e1, e1
    expected = (2 * ends + middle + last) / 4
    loss = bare(SimCLR(2, temperature=t, hidden=2, outputs=2))
    assert loss(first, second).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SELF_SUPERVISED)
def test_each_prefers_equal_views_of_different_images(name: str):
    torch.manual_seed(0)
    loss = SELF_SUPERVISED[name](24, **SMALL[name])
    first = nn.functional.normalize(torch.randn(32, 24), dim=1)
    near = nn.functional.normalize(first + 0.01 * torch.randn(32, 24), dim=1)
    assert loss(first, near) < loss(first, near.roll(1, dims=0))


@pytest.mark.parametrize("name", SELF_SUPERVISED)
def test_each_teaches_a_layer_what_both_views_share(name: str):
    """Eight inputs show the image and eight, stronger ones, differ from view to view."""
    torch.manual_seed(0)
    loss, layer = SELF_SUPERVISED[name](16, **SMALL[name]), nn.Linear(16, 16, bias=False)
    optimizer = torch.optim.Adam([*layer.parameters(), *loss.parameters()], lr=0.03)

    def views() -> torch.Tensor:
        inputs = torch.cat([torch.randn(64, 8).expand(2, 64, 8), 1.5 * torch.randn(2, 64, 8)], dim=2)
        return nn.functional.normalize(layer(inputs), dim=2)

    def found() -> float:
        first, second = views()
        return float(((first @ second.T).argmax(dim=1) == torch.arange(64)).float().mean())

    before = found()
    for _ in range(25):
        optimizer.zero_grad()
        loss(*views()).backward()
        optimizer.step()
    assert found() > 2 * before


def test_simclr_equals_an_independent_implementation():
    torch.manual_seed(0)
    first, second = torch.randn(2, 12, 8)
    theirs = SelfSupervisedLoss(NTXentLoss(temperature=0.2))(first, second)
    ours = bare(SimCLR(8, temperature=0.2, hidden=4, outputs=4))(first, second)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)


def test_a_temperature_of_zero():
    with pytest.raises(ArgumentError, match="temperature=0"):
        SimCLR(4, temperature=0.0)
