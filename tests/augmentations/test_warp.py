import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from augmentations.perspective import Perspective
from augmentations.rotation import Rotation
from augmentations.warp import WarpChain, rotations, warp


def test_a_shift_by_whole_pixels_reflects_at_the_border():
    images = torch.arange(4.0).view(1, 1, 1, 4) / 3
    matrices = torch.eye(3).unsqueeze(0)
    matrices[0, 0, 2] = 2 * 2 / 4  # the result at x is the image at x + 2 pixels
    assert torch.allclose(warp(images, matrices) * 3, torch.tensor([2.0, 3, 3, 2]).view(1, 1, 1, 4), atol=1e-5)


def test_rotation_equals_torchvision():
    images, degrees = torch.rand(3, 3, 40, 60), torch.tensor([-30.0, 4.0, 90.0])
    for image, angle, ours in zip(images, degrees.tolist(), warp(images, rotations(degrees, 40, 60)), strict=True):
        theirs = F.rotate(image, angle, interpolation=InterpolationMode.BILINEAR)
        inside = F.rotate(torch.ones_like(image), angle, interpolation=InterpolationMode.BILINEAR) > 0.9999
        assert inside.float().mean() > 0.4
        assert torch.allclose(ours[inside], theirs[inside], atol=1e-3)


def test_a_chain_is_one_warp_after_the_other():
    torch.manual_seed(0)
    rows, columns = torch.linspace(0, 3, 64).sin(), torch.linspace(0, 4, 48).cos()
    images = (0.5 + 0.4 * rows.view(-1, 1) * columns).repeat(8, 3, 1, 1)
    parts = Perspective(distortion=0.2, p=0.5), Rotation(degrees=20.0, p=0.5)
    torch.manual_seed(6)
    chosen = WarpChain(*parts).choose(8, 64, 48)[0]
    torch.manual_seed(6)
    once = WarpChain(*parts)(images.clone())
    torch.manual_seed(6)
    twice = parts[1](parts[0](images.clone()))
    assert 0 < len(chosen) < 8
    assert torch.allclose(once[..., 20:44, 16:32], twice[..., 20:44, 16:32], atol=2e-3)
    assert torch.equal(once[0], images[0]) == (0 not in chosen)
