import math

import pytest
import torch

from losses.geolocation.geometry import CellOutputs
from losses.geolocation.multi_head import MultiHeadCrossEntropy
from tests.losses.geolocation.examples import LINE, outputs, truth


def test_by_hand():
    fine = outputs([[0.3, 0.2, 0.4, 0.1], [0.1, 0.1, 0.3, 0.5]]).logits
    found = CellOutputs(fine, (torch.log(torch.tensor([[0.6, 0.4], [0.2, 0.8]])),))
    where = truth([0.0, 3.0], [[0, 0], [1, -1]])
    coarse = -(math.log(0.6) + math.log(0.8)) / 2
    expected = 0.5 * coarse - 0.5 * math.log(0.3)
    assert MultiHeadCrossEntropy(LINE)(found, where).item() == pytest.approx(expected, rel=1e-5)
    expected = 0.75 * coarse - 0.25 * math.log(0.3)
    assert MultiHeadCrossEntropy(LINE, ratio=3)(found, where).item() == pytest.approx(expected, rel=1e-5)


def test_the_heads_must_match_the_resolutions():
    found = CellOutputs(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="1 heads for 2 resolutions"):
        MultiHeadCrossEntropy(LINE)(found, truth([0.0], [[0, 0]]))
