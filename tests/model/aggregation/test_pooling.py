import torch

from model.aggregation.pooling import AvgAggregation, MaxAggregation


def test_mean_and_maximum_by_hand():
    """Two channels: means 2.5 and 0 before L2, maxima 4 and 3."""
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [-3.0, 3.0, -2.0, 2.0]]).view(1, 2, 2, 2)
    assert torch.allclose(AvgAggregation(2, 0)(x), torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(MaxAggregation(2, 0)(x), torch.tensor([[0.8, 0.6]]))


def test_linear_layer_comes_after_pooling():
    torch.manual_seed(0)
    x = torch.randn(3, 5, 4, 6)
    for aggregation, pooled in ((AvgAggregation(5, 7), x.mean((2, 3))), (MaxAggregation(5, 7), x.amax((2, 3)))):
        expected = pooled @ aggregation.fc.weight.T + aggregation.fc.bias
        assert torch.allclose(aggregation(x), expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
        assert torch.allclose(aggregation.pooling(x), pooled, atol=1e-6)
