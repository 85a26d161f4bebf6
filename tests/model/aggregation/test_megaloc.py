import pytest
import torch

from commons.errors import ArgumentError
from model.aggregation.megaloc import MegaLoc


def test_a_linear_layer_on_salads_descriptor():
    torch.manual_seed(0)
    aggregation = MegaLoc(6, 7, clusters=3, cluster_dim=4, token_dim=5).eval()
    tokens = torch.randn(2, 6, 1 + 8)
    inner = aggregation.agg(tokens)
    assert inner.shape == (2, 5 + 3 * 4)
    outer = torch.einsum("oi,bi->bo", aggregation.linear.weight, inner) + aggregation.linear.bias
    assert torch.allclose(aggregation(tokens), outer / outer.norm(dim=1, keepdim=True), atol=1e-6)


def test_dimensions_without_the_layer_and_as_published():
    plain = MegaLoc(6, 0, clusters=3, cluster_dim=4, token_dim=5).eval()
    tokens = torch.randn(2, 6, 1 + 8)
    assert plain.descriptor_dim == 17 and torch.allclose(plain(tokens), plain.agg(tokens))
    with torch.device("meta"):
        assert MegaLoc(768).descriptor_dim == 8448
    with pytest.raises(ArgumentError, match="too few for 64 clusters"):
        MegaLoc(6, 2)(tokens)
