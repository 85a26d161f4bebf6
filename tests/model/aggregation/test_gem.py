import pytest
import torch

from model.aggregation.gem import GeM, GeMAggregation, L2Norm


def test_gem_by_hand():
    """One channel with 1, 2, 3, 4 and p = 3: ((1 + 8 + 27 + 64) / 4)^(1/3) = 25^(1/3)."""
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)
    assert GeM()(x).item() == pytest.approx(25 ** (1 / 3), rel=1e-6)
    assert GeM(p=1)(x).item() == pytest.approx(2.5, rel=1e-6)


def test_l2_norm_is_over_channels():
    x = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 2, 3)
    assert torch.allclose(L2Norm()(x)[0, :, 1, 2], torch.tensor([0.6, 0.8]))


def test_aggregation_has_the_reference_keys_and_unit_descriptors():
    aggregation = GeMAggregation(6, 4)
    assert list(aggregation.state_dict()) == ["1.p", "3.weight", "3.bias"]
    descriptors = aggregation(torch.rand(3, 6, 5, 7))
    assert descriptors.shape == (3, 4)
    assert torch.allclose(descriptors.norm(dim=1), torch.ones(3))


def test_aggregation_step_by_step():
    torch.manual_seed(0)
    aggregation = GeMAggregation(5, 3)
    x = torch.rand(2, 5, 4, 4)
    unit = x / x.norm(dim=1, keepdim=True)
    pooled = (unit**3).mean((2, 3)) ** (1 / 3)
    expected = pooled @ aggregation.fc.weight.T + aggregation.fc.bias
    assert torch.allclose(aggregation(x), expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(aggregation.pooling(x), pooled, atol=1e-6)


def test_without_linear_layer():
    assert GeMAggregation(6, 0)(torch.rand(2, 6, 3, 3)).shape == (2, 6)
