import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from augmentations.color_jitter import (
    ColorJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adjust_brightness, F.adjust_brightness),
        (adjust_contrast, F.adjust_contrast),
        (adjust_saturation, F.adjust_saturation),
    ],
)
def test_steps_equal_torchvision(ours, theirs, factor: float):
    images = torch.rand(3, 3, 20, 30)
    assert torch.allclose(ours(images.clone(), torch.full((3, 1, 1, 1), factor)), theirs(images, factor), atol=1e-6)


@pytest.mark.parametrize("share", [-0.5, -0.1, 0.0, 0.25, 0.5])
def test_hue_equals_torchvision(share: float):
    images = torch.rand(3, 3, 20, 30)
    images[0] = 0.5  # grey has no hue
    assert torch.allclose(
        adjust_hue(images.clone(), torch.full((3, 1, 1, 1), share)), F.adjust_hue(images, share), atol=1e-5
    )


def test_a_whole_batch_and_image_by_image_agree():
    """A CPU goes image by image, a GPU takes all images that have the same step next together."""
    torch.manual_seed(0)
    images = torch.rand(24, 3, 9, 9)
    jitter = ColorJitter(0.7, 0.7, 0.7, 0.5)
    drawn = jitter.draw(24)
    together, jitter.draw = images.clone(), lambda count: drawn
    jitter._apply(together, *drawn)
    assert torch.allclose(together, jitter(images.clone()), atol=1e-6)


def test_every_image_gets_its_own_draw():
    torch.manual_seed(0)
    out = ColorJitter(0.7, 0.7, 0.7, 0.5)(torch.rand(1, 3, 8, 8).repeat(16, 1, 1, 1) * 0.5 + 0.2)
    assert len({tuple(image.flatten()[:6].tolist()) for image in out}) == 16


def test_zero_strength_changes_nothing():
    images = torch.rand(4, 3, 8, 8)
    assert torch.allclose(ColorJitter(0, 0, 0, 0)(images.clone()), images)


@pytest.mark.slow
def test_distribution_equals_torchvision():
    """Means and spreads of the channels over 1,500 draws of one picture, against torchvision applied image by image."""
    torch.manual_seed(0)
    image = torch.rand(3, 6, 6) * torch.tensor([1.0, 0.7, 0.3]).view(3, 1, 1)
    reference = v2.ColorJitter(0.7, 0.7, 0.7, 0.5)
    theirs = torch.stack([reference(image) for _ in range(1500)])
    ours = ColorJitter(0.7, 0.7, 0.7, 0.5)(image.repeat(1500, 1, 1, 1))
    for statistic in (torch.mean, torch.std):
        assert torch.allclose(statistic(ours.mean((2, 3)), dim=0), statistic(theirs.mean((2, 3)), dim=0), atol=0.025), (
            statistic
        )
