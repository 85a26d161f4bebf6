import math

import torch

from model.aggregation.attention import AttentionAggregation, AttentionPooling


def test_starts_as_the_mean():
    x = torch.rand(2, 4, 3, 5)
    assert torch.allclose(AttentionPooling(4)(x), x.mean((2, 3)), atol=1e-6)


def test_weights_by_hand():
    """Similarities ln 3 and 0, divided by sqrt(4) in the pooling: weights 3/4 and 1/4."""
    pooling = AttentionPooling(4)
    pooling.query.data = torch.tensor([2 * math.log(3), 0.0, 0.0, 0.0])
    x = torch.tensor([[1.0, 0.0], [4.0, 8.0], [0.0, 4.0], [0.0, 0.0]]).view(1, 4, 1, 2)
    assert torch.allclose(pooling(x), torch.tensor([[0.75, 5.0, 1.0, 0.0]]))


def test_linear_layer_and_norm():
    assert AttentionAggregation(4, 6)(torch.rand(2, 4, 3, 3)).norm(dim=1).allclose(torch.ones(2))
