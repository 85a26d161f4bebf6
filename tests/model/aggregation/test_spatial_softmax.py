import pytest
import torch
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.aggregation.spatial_softmax import SpatialSoftmax


def by_definition(module: SpatialSoftmax, x: torch.Tensor) -> torch.Tensor:
    """The published order: values of all positions first, then their weighted sum, head by head."""
    x = F.layer_norm(x.flatten(2).transpose(1, 2), x.shape[1:2], module.norm.weight, module.norm.bias)
    values = module.value(x) if module.has_values else x
    heads = []
    for head, part in enumerate(values.chunk(module.heads, dim=2)):
        logits = x @ module.attention.weight[head]
        heads.append((logits.exp() / logits.exp().sum(1, keepdim=True))[..., None].mul(part).sum(1))
    found = torch.cat(heads, dim=1)
    return found / found.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("dimension", [24, 0])
def test_equals_its_definition(dimension: int):
    torch.manual_seed(0)
    module = SpatialSoftmax(12, dimension, heads=3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    x = torch.randn(2, 12, 4, 5)
    assert module.descriptor_dim == (dimension or 12)
    assert torch.allclose(module(x), by_definition(module, x), atol=1e-6)


def test_the_order_of_positions_does_not_matter_and_one_head_can_pick_one():
    module = SpatialSoftmax(4, 8, heads=2)
    x = torch.randn(1, 4, 3, 3)
    assert torch.allclose(module(x), module(x.flatten(2)[..., torch.randperm(9)].unflatten(2, (1, 9))), atol=1e-6)
    with torch.no_grad():
        module.attention.weight.copy_(1000 * module.norm(x.flatten(2)[0, :, 5]).repeat(2, 1))
    alone = module(x.flatten(2)[..., 5:6].unflatten(2, (1, 1)))
    assert torch.allclose(module(x), alone, atol=1e-4)


def test_heads_must_divide_the_dimension():
    with pytest.raises(ArgumentError, match="heads=64 does not divide 100 dimensions"):
        SpatialSoftmax(8, 100)
