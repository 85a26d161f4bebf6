import math

import pytest

from losses.geolocation.hierarchical import HierarchicalCrossEntropy
from tests.losses.geolocation.examples import LINE, outputs, truth

P = [[0.3, 0.2, 0.4, 0.1], [0.1, 0.1, 0.3, 0.5]]


def test_by_hand():
    """The first photo is in the coarser cell of 0.3 and 0.2, the second in that of 0.3 and 0.5."""
    where = truth([0.0, 2.0], [[0, 0], [1, 2]])
    expected = -(math.log(0.3) + math.log(0.3)) / 2 - (math.log(0.5) + math.log(0.8)) / 2
    assert HierarchicalCrossEntropy(LINE)(outputs(P), where).item() == pytest.approx(expected, rel=1e-5)


def test_a_photo_in_a_dropped_cell_counts_where_a_coarser_cell_holds_it():
    where = truth([0.0, 3.0], [[0, 0], [1, -1]])
    expected = -math.log(0.3) - (math.log(0.5) + math.log(0.8)) / 2
    assert HierarchicalCrossEntropy(LINE)(outputs(P), where).item() == pytest.approx(expected, rel=1e-5)
