import pytest

from losses.geolocation.expected_distance import ExpectedDistance
from tests.losses.geolocation.examples import DEGREE_KM, LINE, outputs, truth


def test_by_hand():
    """From the point at 1 degree, the others are 1, 0, 1 and 3 degrees away; from 1.2: 1.2, 0.2, 0.8, 2.8."""
    found, where = outputs([[0.3, 0.2, 0.4, 0.1]]), truth([1.2], [[0, 1]])
    expected = ((0.3 + 0.4 + 3 * 0.1) * DEGREE_KM / 100) ** 2
    assert ExpectedDistance(LINE)(found, where).item() == pytest.approx(expected, rel=1e-4)
    expected = ((1.2 * 0.3 + 0.2 * 0.2 + 0.8 * 0.4 + 2.8 * 0.1) * DEGREE_KM / 50) ** 2
    loss = ExpectedDistance(LINE, scale_km=50, from_photo=True)
    assert loss(found, where).item() == pytest.approx(expected, rel=1e-4)


def test_the_mean_is_taken_after_squaring():
    found, where = outputs([[0.3, 0.2, 0.4, 0.1], [1.0, 1e-30, 1e-30, 1e-30]]), truth([1.0, 0.0], [[0, 1], [0, 0]])
    assert ExpectedDistance(LINE)(found, where).item() == pytest.approx((DEGREE_KM / 100) ** 2 / 2, rel=1e-4)
