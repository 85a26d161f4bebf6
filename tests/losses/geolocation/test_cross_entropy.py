import math

import pytest

from losses.geolocation.cross_entropy import CellCrossEntropy
from tests.losses.geolocation.examples import LINE, outputs, truth


def test_by_hand():
    found = outputs([[0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]])
    where = truth([0.0, 4.0], [[0, 0], [1, 3]])
    assert CellCrossEntropy(LINE)(found, where).item() == pytest.approx(-(math.log(0.5) + math.log(0.7)) / 2, rel=1e-5)
    one = found.take([0]), where.take([0])
    even = -sum(map(math.log, (0.5, 0.2, 0.2, 0.1))) / 4
    expected = 0.9 * -math.log(0.5) + 0.1 * even
    assert CellCrossEntropy(LINE, smoothing=0.1)(*one).item() == pytest.approx(expected, rel=1e-5)
