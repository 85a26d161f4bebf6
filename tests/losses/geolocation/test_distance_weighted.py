import math

import pytest
import torch

from losses.geolocation.distance_weighted import DistanceWeighted, log_of_rest
from tests.losses.geolocation.examples import DEGREE_KM, LINE, outputs, truth


def test_by_hand():
    """From the point at 1 degree, the others are 1, 0, 1 and 3 degrees away."""
    found, where = outputs([[0.3, 0.2, 0.4, 0.1]]), truth([1.2], [[0, 1]])
    expected = -(math.log(0.7) + math.log(0.6) + 3 * math.log(0.9)) * DEGREE_KM / 100
    assert DistanceWeighted(LINE)(found, where).item() == pytest.approx(expected, rel=1e-4)
    expected = -(1.2 * math.log(0.7) + 0.2 * math.log(0.8) + 0.8 * math.log(0.6) + 2.8 * math.log(0.9)) * DEGREE_KM
    loss = DistanceWeighted(LINE, scale_km=1, from_photo=True)
    assert loss(found, where).item() == pytest.approx(expected, rel=1e-4)


def test_the_rest_is_right_where_a_probability_is_almost_one():
    """With logits 50, 0 and 0, 1 - p of the first is 2 e^-50 / (1 + 2 e^-50), which float32 would take for 0."""
    logits = torch.tensor([[50.0, 0, 0]], requires_grad=True)
    found = log_of_rest(logits)
    assert found[0].tolist() == pytest.approx([math.log(2) - 50, -math.exp(-50), -math.exp(-50)], abs=1e-5)
    found.sum().backward()
    # d log(1 - p_0) / d z: -p_0 for the first, p_j / (1 - p_0) - p_j for the others.
    assert logits.grad[0].tolist() == pytest.approx([-1, 0.5, 0.5], abs=1e-6)


@pytest.mark.parametrize("logits", [[[0.0, 0.0]], [[1.0, 1.0, 1.0, 1.0]], [[-3.0, 2.0, 2.0]], [[0.5, -0.2, 0.1]]])
def test_the_rest_equals_its_definition(logits: list[list[float]]):
    exact = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    expected = torch.log(1 - exact.softmax(dim=1))
    assert torch.allclose(log_of_rest(exact), expected)
    assert torch.autograd.gradcheck(log_of_rest, exact + torch.tensor([[1e-3] + [0.0] * (exact.shape[1] - 1)]))


def test_a_single_cell_has_no_rest():
    assert log_of_rest(torch.tensor([[3.0]])).tolist() == [[0.0]]
