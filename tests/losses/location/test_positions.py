"""Chord and angle."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from commons.sphere import EARTH_RADIUS_KM, haversine_km, unit_vectors
from losses.location import POSITION_LOSSES

EAST, NORTH = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0, 0, 1.0]])


@pytest.mark.parametrize(("name", "right_angle"), [("chord", math.sqrt(2)), ("angle", math.pi / 2)])
def test_values_by_hand(name: str, right_angle: float):
    loss = POSITION_LOSSES[name]()
    opposite = 2.0 if name == "chord" else math.pi
    assert loss(EAST, NORTH).item() == pytest.approx(right_angle)
    assert loss(EAST, EAST).item() == 0
    assert loss(EAST, -EAST).item() == pytest.approx(opposite)
    both = torch.cat([EAST, EAST]), torch.cat([NORTH, EAST])
    assert loss(*both).item() == pytest.approx(right_angle / 2)


def test_angle_is_the_great_circle_distance_and_chord_that_of_small_ones():
    draw = np.random.default_rng(0)
    latitude, longitude = draw.uniform(-80, 80, 200), draw.uniform(-170, 170, 200)
    for step in (1e-4, 0.1, 60):
        other = latitude + draw.uniform(-step, step, 200) / 10, longitude + draw.uniform(-step, step, 200)
        km = haversine_km(latitude, longitude, *other).mean()
        u, v = torch.tensor(unit_vectors(latitude, longitude)), torch.tensor(unit_vectors(*other))
        assert POSITION_LOSSES["angle"]()(u, v).item() * EARTH_RADIUS_KM == pytest.approx(km, rel=1e-6)
        # float32 vectors are right to about a metre
        assert POSITION_LOSSES["angle"]()(u.float(), v.float()).item() * EARTH_RADIUS_KM == pytest.approx(km, abs=1e-3)
        if step < 1:
            assert POSITION_LOSSES["chord"]()(u, v).item() * EARTH_RADIUS_KM == pytest.approx(km, rel=1e-6)


@pytest.mark.parametrize("name", POSITION_LOSSES)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_gradients_are_finite_at_zero_near_zero_and_at_the_antipode(name: str, kind: torch.dtype):
    draw = torch.Generator().manual_seed(0)
    true = normalize(torch.randn(300, 3, dtype=kind, generator=draw), dim=1)
    near = true + 10.0 ** torch.linspace(-300 if kind == torch.float64 else -40, -6, 300, dtype=kind)[:, None]
    for raw in (true, 3 * true, near, -true, -near, EAST.to(kind).expand(300, 3)):
        raw = raw.clone().requires_grad_()
        POSITION_LOSSES[name]()(normalize(raw, dim=1), true).backward()
        assert raw.grad.isfinite().all()


@pytest.mark.parametrize("name", POSITION_LOSSES)
def test_descending_the_gradient_leads_to_the_truth(name: str):
    raw = torch.tensor([[-1.0, 0.1, 0.0]]).requires_grad_()  # almost at the antipode
    optimizer = torch.optim.SGD([raw], lr=0.1)
    for _ in range(200):
        loss = POSITION_LOSSES[name]()(normalize(raw, dim=1), EAST)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
