import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from augmentations.perspective import CORNERS, Perspective, homographies
from augmentations.warp import warp
from commons.errors import UsageError


def test_homographies_take_points_to_their_targets():
    torch.manual_seed(0)
    targets = torch.tensor(CORNERS)
    sources = targets * (1 - 0.6 * torch.rand(5, 4, 2))
    points = torch.cat([sources, torch.ones(5, 4, 1)], dim=2)
    mapped = points @ homographies(sources, targets).mT
    assert torch.allclose(mapped[..., :2] / mapped[..., 2:], targets.expand(5, 4, 2), atol=1e-5)


def test_perspective_equals_torchvision():
    image, start = torch.rand(3, 40, 60), [[0, 0], [60, 0], [60, 40], [0, 40]]
    end = [[6, 3], [55, 1], [60, 34], [2, 40]]
    scale = torch.tensor([30.0, 20.0])
    ours = warp(image[None], homographies(torch.tensor([end]) / scale - 1, torch.tensor(CORNERS)))[0]
    theirs = F.perspective(image, start, end, interpolation=InterpolationMode.BILINEAR)
    inside = F.perspective(torch.ones_like(image), start, end, interpolation=InterpolationMode.BILINEAR) > 0.9999
    assert inside.float().mean() > 0.7
    assert torch.allclose(ours[inside], theirs[inside], atol=1e-3)


def test_corners_move_inwards_uniformly():
    torch.manual_seed(0)
    (matrices,) = Perspective(distortion=0.4).draw(3000, 50, 50)
    corners = torch.cat([torch.tensor(CORNERS), torch.ones(4, 1)], dim=1) @ torch.linalg.inv(matrices).mT
    moved = 1 - (corners[..., :2] / corners[..., 2:]) * torch.tensor(CORNERS)
    assert moved.min() > -1e-3 and moved.max() < 0.4 + 1e-3
    assert torch.allclose(moved.mean(0), torch.tensor(0.2), atol=0.01)
    assert torch.allclose(moved.std(0), torch.tensor(0.4 / 12**0.5), atol=0.01)


def test_the_distortion_is_a_share():
    with pytest.raises(UsageError, match="perspective.distortion=2"):
        Perspective(distortion=2.0)
