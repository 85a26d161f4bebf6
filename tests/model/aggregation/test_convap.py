import pytest
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError
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


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (2, 3), (9, 4)])
def test_cells_of_any_map_are_those_of_adaptive_pooling(size: tuple[int, int]):
    aggregation = ConvAP(4, out_channels=3, s1=2, s2=3)
    x = torch.randn(2, 4, *size)
    cells = F.adaptive_avg_pool2d(aggregation.channel_pool(x), (2, 3)).flatten(1)
    assert torch.allclose(aggregation(x), F.normalize(cells, dim=1), atol=1e-6)


def test_another_dimension_is_refused_with_the_way_out():
    assert ConvAP(5, 2048).descriptor_dim == 2048
    with pytest.raises(ArgumentError, match=r"512 x s1 2 x s2 2 = 2048 .* set out_channels=64 "):
        ConvAP(5, 256)
