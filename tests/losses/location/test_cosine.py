import pytest
import torch

from losses.location.cosine import CosineToLocation


def test_by_hand_and_equal_to_that_of_pytorch():
    images = torch.tensor([[2.0, 0.0], [1.0, 1.0]]).requires_grad_()
    locations = torch.tensor([[0.0, 3.0], [0.0, -2.0]])
    loss = CosineToLocation()(images, locations)
    assert loss.item() == pytest.approx((1 + 1 + 0.5**0.5) / 2)
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(20, 8, generator=draw), torch.randn(20, 8, generator=draw)
    assert CosineToLocation()(a, b).item() == pytest.approx(torch.nn.CosineEmbeddingLoss()(a, b, torch.ones(20)).item())


def test_only_images_get_a_gradient():
    images, locations = torch.ones(2, 3, requires_grad=True), torch.eye(3)[:2].clone().requires_grad_()
    CosineToLocation()(images, locations).backward()
    assert images.grad.abs().sum() > 0 and locations.grad is None
