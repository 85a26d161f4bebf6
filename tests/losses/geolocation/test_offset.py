import math

import numpy as np
import pytest
import torch

from commons import sphere
from losses.geolocation.geometry import CellGeometry, CellOutputs
from losses.geolocation.offset import OffsetRegression, from_local_km, to_local_km
from tests.losses.geolocation.examples import DEGREE_KM, LINE, truth


def raw(east: float, north: float, span: float = 1.2) -> torch.Tensor:
    """Raw offsets that give these ones in the second cell, and others elsewhere."""
    offsets = torch.full((1, 4, 2), 7.0)
    offsets[0, 1] = torch.tensor([math.atanh(east / span), math.atanh(north / span)])
    return offsets


def test_by_hand():
    """A photo 0.09 degrees, 10.0 km or 0.2 of the reach, to the east of its cell's point."""
    where = truth([1.0 + 10 / DEGREE_KM], [[0, 1]])
    found = CellOutputs(torch.zeros(1, 4), (), raw(0.5, -0.3))
    assert OffsetRegression(LINE)(found, where).item() == pytest.approx(0.3**2 + 0.3**2, rel=1e-3)
    found = CellOutputs(torch.zeros(1, 4), (), raw(0.2, 0))
    assert OffsetRegression(LINE)(found, where).item() == pytest.approx(0, abs=1e-6)


def test_positions_are_where_the_loss_is_zero():
    latitude, longitude = OffsetRegression(LINE).positions(torch.tensor([1]), raw(0.2, -0.5)[:, 1])
    assert longitude.item() == pytest.approx(1 + 10 / DEGREE_KM, abs=1e-5)
    assert latitude.item() == pytest.approx(-10 / DEGREE_KM, abs=1e-5)
    span = OffsetRegression(LINE, span=0.5)
    far = span.positions(torch.tensor([0]), torch.tensor([[99.0, 0.0]]))
    assert far[1].item() == pytest.approx(25 / DEGREE_KM, abs=1e-5)


def test_cells_with_one_photo_have_the_least_reach():
    geometry = CellGeometry([0.0], [0.0], [[0.0, 0.0]], [[0]])
    latitude, _ = OffsetRegression(geometry, least_km=2).positions(torch.tensor([0]), torch.tensor([[0.0, 99.0]]))
    assert latitude.item() == pytest.approx(1.2 * 2 / DEGREE_KM, abs=1e-6)


def test_local_kilometres_equal_those_of_commons_also_at_the_poles_and_the_antimeridian():
    draw = np.random.default_rng(0)
    points = sphere.to_degrees(draw.normal(size=(300, 3)))
    origins = sphere.to_degrees(draw.normal(size=(300, 3)))
    origins[0][:3], origins[1][3:6] = (90, -90, 0), (180, -180, 179.9)
    tensors = [torch.as_tensor(column) for column in (*points, *origins)]
    found = to_local_km(*tensors)
    expected = np.stack(sphere.to_local_km(*points, *origins), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    latitude, longitude = from_local_km(found, *tensors[2:])
    np.testing.assert_allclose(latitude, points[0], atol=1e-9)
    np.testing.assert_allclose((longitude - points[1] + 180) % 360, 180, atol=1e-7)


def test_a_network_without_offsets():
    with pytest.raises(ValueError, match="needs a network that predicts offsets"):
        OffsetRegression(LINE)(CellOutputs(torch.zeros(1, 4)), truth([0.0], [[0, 0]]))
