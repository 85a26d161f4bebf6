import math

import pytest
import torch

from augmentations.fog import Fog, depths


def test_depths_of_four_rows():
    """Rows at 1/8, 3/8, 5/8 and 7/8; below the horizon at 1/2, z is 1/4 and 3/4: 0.15 + 0.85 * (9/16 and 1/16)."""
    assert depths(torch.tensor([0.5]), 4)[0].tolist() == pytest.approx([1.0, 1.0, 0.628125, 0.203125])


def test_koschmieder():
    images = torch.tensor([0.0, 0.5]).view(2, 1, 1, 1).repeat(1, 3, 4, 5)
    densities = torch.tensor([1.0, 2.0])
    out = Fog().augment(images, densities, torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.9]))
    assert torch.allclose(out[0, :, 0], torch.tensor(0.8 * (1 - math.exp(-1))))
    t = math.exp(-2 * 0.203125)
    assert torch.allclose(out[1, :, 3], torch.tensor(0.5 * t + 0.9 * (1 - t)))


def test_draws():
    torch.manual_seed(0)
    for drawn, (low, high) in zip(Fog(density=3.0).draw(4000, 9, 9), ((0, 3), (0.35, 0.55), (0.7, 0.95)), strict=True):
        assert low <= drawn.min() and drawn.max() <= high
        assert drawn.mean().item() == pytest.approx((low + high) / 2, rel=0.03)
        assert drawn.std().item() == pytest.approx((high - low) / 12**0.5, rel=0.04)
