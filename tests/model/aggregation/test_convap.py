import pytest
import torch

from commons.errors import UsageError
from model.aggregation.convap import ConvAP


def test_against_the_formula():
    """Cells of a 4 x 6 map on a 2 x 3 grid are 2 x 2; the convolution is a matrix product at every position."""
    torch.manual_seed(0)
    aggregation = ConvAP(5, out_channels=4, s1=2, s2=3)
    x = torch.randn(2, 5, 4, 6)
    weight, bias = aggregation.channel_pool.weight[:, :, 0, 0], aggregation.channel_pool.bias
    projected = torch.einsum("oc,bchw->bohw", weight, x) + bias.view(1, 4, 1, 1)
    cells = projected.view(2, 4, 2, 2, 3, 2).mean(dim=(3, 5)).reshape(2, 24)
    assert torch.allclose(aggregation(x), cells / cells.norm(dim=1, keepdim=True), atol=1e-6)
    assert list(aggregation.state_dict()) == ["channel_pool.weight", "channel_pool.bias"]


def test_another_dimension_is_refused_with_the_way_out():
    assert ConvAP(5, 2048).descriptor_dim == 2048
    with pytest.raises(UsageError, match=r"512 x s1 2 x s2 2 = 2048 .* set out_channels=64 "):
        ConvAP(5, 256)
