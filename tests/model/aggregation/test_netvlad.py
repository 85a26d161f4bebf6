import math

import pytest
import torch

from commons.errors import ArgumentError
from model.aggregation.netvlad import NetVLAD


def test_against_the_sum_over_positions():
    torch.manual_seed(0)
    aggregation = NetVLAD(4, 0, clusters=3)
    aggregation.conv.weight.data /= 30
    x = torch.randn(2, 4, 3, 5)
    weight = aggregation.conv.weight[:, :, 0, 0]
    for image, descriptor in zip(x, aggregation(x), strict=True):
        vlad = torch.zeros(3, 4)
        for local in image.flatten(1).T:
            local = local / local.norm()
            powers = (weight @ local).exp()
            for k in range(3):
                vlad[k] += powers[k] / powers.sum() * (local - aggregation.centroids[k])
        vlad /= vlad.norm(dim=1, keepdim=True)
        assert torch.allclose(descriptor, vlad.flatten() / 3**0.5, atol=1e-5)


def test_linear_layer():
    torch.manual_seed(0)
    whole, projected = NetVLAD(4, 0, clusters=3), NetVLAD(4, 5, clusters=3)
    projected.load_state_dict(whole.state_dict(), strict=False)
    x = torch.randn(2, 4, 3, 5)
    expected = whole(x) @ projected.fc.weight.T + projected.fc.bias
    assert torch.allclose(projected(x), expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
    assert (whole.descriptor_dim, projected.descriptor_dim) == (12, 5)


def maps_of_three_directions() -> torch.Tensor:
    """Local features around three axes of four, so that k-means has one answer."""
    torch.manual_seed(0)
    axes = torch.eye(4)[torch.arange(300) % 3]
    return (3 * axes + 0.05 * torch.randn(300, 4)).view(3, 10, 10, 4).permute(0, 3, 1, 2)


def test_clusters_start_from_the_data():
    aggregation = NetVLAD(4, 0, clusters=3)
    maps = maps_of_three_directions()
    aggregation.initialise(iter(maps.split(2)))
    centroids = aggregation.centroids.detach()
    assert torch.allclose(centroids[centroids.argmax(1).argsort()], torch.eye(4)[:3], atol=0.02)
    features = (maps / maps.norm(dim=1, keepdim=True)).permute(0, 2, 3, 1).reshape(300, 4)
    first, second = (features @ aggregation.conv.weight.detach()[:, :, 0, 0].T).topk(2, dim=1).values.T
    # On average the second-nearest cluster weighs a hundredth of the nearest.
    assert float((first - second).mean()) == pytest.approx(math.log(100), rel=1e-4)


def test_few_or_equal_features():
    with pytest.raises(ArgumentError, match="clusters=8 is more than the number of local features .* \\(6\\)"):
        NetVLAD(4, clusters=8).initialise([torch.rand(1, 4, 2, 3)])
    aggregation = NetVLAD(4, 0, clusters=2)
    aggregation.initialise([torch.ones(1, 4, 3, 3)])
    assert aggregation(torch.rand(2, 4, 3, 3)).isfinite().all()
