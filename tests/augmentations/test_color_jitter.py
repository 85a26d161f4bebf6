import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from augmentations.color_jitter import (
    ColorJitter,
    LinearColorJitter,
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
    for jitter in (ColorJitter(0.7, 0.7, 0.7, 0.5), LinearColorJitter(0.7, 0.7, 0.7, 0.5)):
        out = jitter(torch.rand(1, 3, 8, 8).repeat(16, 1, 1, 1) * 0.5 + 0.2)
        assert len({tuple(image.flatten()[:6].tolist()) for image in out}) == 16


def test_zero_strength_changes_nothing():
    images = torch.rand(4, 3, 8, 8)
    assert torch.allclose(ColorJitter(0, 0, 0, 0)(images.clone()), images)
    assert torch.allclose(LinearColorJitter(0, 0, 0, 0)(images), images, atol=1e-3)


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


def test_linear_equals_exact_where_nothing_clips():
    """Without hue, and with pictures too dull to be clipped, one matrix is exact."""
    images = torch.rand(32, 3, 10, 10) * 0.1 + 0.3
    for seed in range(3):
        torch.manual_seed(seed)
        exact = ColorJitter(0.4, 0.4, 0.4, 0)(images.clone())
        torch.manual_seed(seed)
        linear = LinearColorJitter(0.4, 0.4, 0.4, 0)(images)
        assert torch.allclose(exact, linear, atol=1e-5)


def test_linear_hue_keeps_luma_and_a_half_turn_complements():
    red = torch.tensor([0.6, 0.3, 0.3]).view(1, 3, 1, 1)
    jitter = LinearColorJitter(0, 0, 0, 0.5)
    factors = torch.tensor([[1.0, 1.0, 1.0, 0.5]])
    matrix, offset = jitter.compose(factors, torch.tensor([[0, 1, 2, 3]]), red.mean((2, 3)))
    turned = (matrix @ red.view(1, 3, 1)).view(3) + offset.view(3)
    luma = torch.tensor([0.2989, 0.587, 0.114])
    assert (turned @ luma).item() == pytest.approx((red.view(3) @ luma).item(), abs=1e-3)
    assert turned[0] < turned[1]
    assert turned[0] < turned[2]
