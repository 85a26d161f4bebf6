import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from augmentations.kornia_adapters import (
    AutoContrast,
    Blur,
    ChannelDropout,
    Equalize,
    HorizontalFlip,
    MotionBlur,
    Perspective,
    PlasmaShadow,
    Rain,
    Rotation,
    Snow,
    Solarize,
)
from commons.errors import ArgumentError

BILINEAR = InterpolationMode.BILINEAR


def ramps(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose channels are x, y and 1, in shares of the longer side: sampling tells where a pixel comes from."""
    scale = max(height, width) - 1
    y, x = torch.meshgrid(torch.arange(height) / scale, torch.arange(width) / scale, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)]).repeat(count, 1, 1, 1)


def test_left_and_right_change_places():
    images = torch.arange(6.0).view(1, 1, 2, 3).repeat(1, 3, 1, 1) / 5
    assert (HorizontalFlip(p=1.0)(images)[0, 0] * 5).flatten().tolist() == [2, 1, 0, 5, 4, 3]


def test_half_of_the_images_are_mirrored():
    torch.manual_seed(0)
    images = torch.rand(1, 3, 4, 4).repeat(500, 1, 1, 1)
    mirrored = (HorizontalFlip()(images.clone()) == images.flip(3)).flatten(1).all(1)
    assert 0.44 < mirrored.float().mean() < 0.56


def test_rotation_equals_torchvision():
    rotation, images = Rotation(degrees=40.0), torch.rand(3, 3, 41, 61)
    torch.manual_seed(2)
    angles = rotation.transforms[0].forward_parameters(images.shape)["degrees"].tolist()
    torch.manual_seed(2)
    for image, angle, ours in zip(images, angles, rotation.augment(images), strict=True):
        theirs = F.rotate(image, angle, interpolation=BILINEAR)
        inside = F.rotate(torch.ones_like(image), angle, interpolation=BILINEAR) > 0.9999
        assert abs(angle) > 3 and inside.float().mean() > 0.4
        assert torch.allclose(ours[inside], theirs[inside], atol=1e-3)


def test_angles_are_uniform():
    torch.manual_seed(0)
    out = Rotation(degrees=30.0)(ramps(2000, 21, 21) * 0.5 + 0.25)
    # To the right of the centre, x and y rise with the angle's cosine and sine.
    dx, dy = ((out[:, channel, 10, 13] - out[:, channel, 10, 7]) for channel in (0, 1))
    angles = torch.rad2deg(torch.atan2(dy, dx))
    assert angles.abs().max() <= 30.01 and angles.mean().abs() < 1.2
    assert angles.std().item() == pytest.approx(30 / 3**0.5, rel=0.05)


def test_a_rotated_image_has_its_reflection_in_the_corners():
    torch.manual_seed(0)
    white = Rotation(degrees=45.0)(torch.ones(4, 3, 20, 20))
    assert torch.allclose(white, torch.tensor(1.0), atol=1e-5)
    assert torch.allclose(Perspective(distortion=0.9, p=1.0)(torch.ones(4, 3, 20, 20)), torch.tensor(1.0), atol=1e-5)


def test_perspective_equals_torchvision():
    perspective, images = Perspective(distortion=0.5), torch.rand(3, 3, 41, 61)
    torch.manual_seed(1)
    drawn = perspective.transforms[0].forward_parameters(images.shape)
    torch.manual_seed(1)
    ours = perspective.augment(images)
    for image, result, start, end in zip(images, ours, drawn["start_points"], drawn["end_points"], strict=True):
        corners = [(points + 0.5).tolist() for points in (start, end)]  # torchvision counts from the pixels' corners
        theirs, inside = (
            F.perspective(picture, *corners, interpolation=BILINEAR) for picture in (image, torch.ones_like(image))
        )
        inside = inside > 0.9999
        assert inside.float().mean() > 0.5
        assert torch.allclose(result[inside], theirs[inside], atol=5e-3)


def test_corners_move_inwards_uniformly():
    """At a distortion of 0.4 corners of a square of 100 pixels move by up to 20 pixels."""
    torch.manual_seed(0)
    drawn = Perspective(distortion=0.4).transforms[0].forward_parameters(torch.Size([3000, 3, 100, 100]))
    moved = (drawn["end_points"] - drawn["start_points"]) * torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    assert moved.min() >= 0 and moved.max() <= 20
    assert torch.allclose(moved.mean(0), torch.tensor(10.0), atol=0.5)
    assert torch.allclose(moved.std(0), torch.tensor(20 / 12**0.5), atol=0.3)


def test_blur_equals_torchvision_image_by_image():
    """A point becomes the kernel: the centre's neighbour has exp(-1 / (2 sigma^2)) of its weight."""
    torch.manual_seed(0)
    images = torch.zeros(600, 3, 25, 25)
    images[:, :, 12, 12] = 1
    out = Blur(sigma=2.0, p=1.0)(images.clone())
    sigmas = (-0.5 / (out[:, 0, 12, 13] / out[:, 0, 12, 12]).log()).sqrt()
    assert sigmas.min() >= 0.0999 and sigmas.max() <= 2.0001
    assert sigmas.mean().item() == pytest.approx(1.05, abs=0.06)
    assert sigmas.std().item() == pytest.approx(1.9 / 12**0.5, rel=0.07)
    for image, blurred, sigma in zip(images[:20], out[:20], sigmas[:20].tolist(), strict=True):
        assert torch.allclose(blurred, F.gaussian_blur(image, [13, 13], [sigma, sigma]), atol=1e-5)


def test_blur_in_blocks_is_the_blur_of_each_image():
    """150 images of 50x50 are more than one block."""
    torch.manual_seed(0)
    images = torch.rand(1, 3, 50, 50).repeat(150, 1, 1, 1)
    out = Blur(p=1.0)(images.clone())
    assert torch.allclose(out.mean((2, 3)), images.mean((2, 3)), atol=0.02)
    assert len({round(image.std().item(), 6) for image in out}) > 130


def test_blur_of_images_smaller_than_the_kernel():
    assert Blur(sigma=9.0, p=1.0)(torch.rand(2, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_motion_blur_spreads_a_point_along_a_line():
    torch.manual_seed(0)
    images = torch.zeros(400, 3, 31, 31)
    images[:, :, 15, 15] = 1
    out = MotionBlur(length=9, p=1.0)(images)
    assert torch.allclose(out.sum((2, 3)), torch.tensor(1.0), atol=1e-4)  # nothing gets lost
    assert (out[:, 0] > 0).flatten(1).any(0).view(31, 31).nonzero().sub(15).abs().max() <= 4
    y, x = torch.meshgrid(torch.arange(31.0) - 15, torch.arange(31.0) - 15, indexing="ij")
    for image in out[:, 0]:
        centred_x, centred_y = x - (image * x).sum(), y - (image * y).sum()
        xx, yy, xy = ((image * a * b).sum() for a, b in ((centred_x,) * 2, (centred_y,) * 2, (centred_x, centred_y)))
        across, along = torch.linalg.eigvalsh(torch.stack([torch.stack([xx, xy]), torch.stack([xy, yy])]))
        assert across < 0.6 and along > across  # bilinear sampling makes the line about a pixel wide


@pytest.mark.slow
def test_motion_blur_has_a_length_of_each_image():
    """Lengths 3, 5, 7 and 9; kernels are padded to the largest, and turned by any angle."""
    torch.manual_seed(0)
    kernels = MotionBlur(length=10).draw_kernels(2000, 50)
    assert kernels.shape == (2000, 9, 9)
    rim = torch.arange(9).sub(4).abs()
    radius = torch.maximum(rim.view(9, 1), rim.view(1, 9))
    reach = torch.where(kernels > 0, radius, 0).amax((1, 2))
    share = torch.bincount(reach, minlength=5)[1:] / 2000
    assert torch.allclose(share, torch.tensor(0.25), atol=0.06)
    # Horizontal for 0 and 180 degrees, vertical for 90 and 270: both halves of the angles are alike.
    rows, columns = (kernels.sum(axis) * rim.square() for axis in (2, 1))
    assert rows.sum().item() == pytest.approx(columns.sum().item(), rel=0.1)


def test_motion_blur_of_small_images():
    assert MotionBlur(length=15, p=1.0)(torch.rand(2, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_auto_contrast_stretches_each_channel():
    """0.2..0.6, 0.5..0.75 and 0..1: 0.3 becomes (0.3 - 0.2) / 0.4."""
    image = torch.tensor([[0.2, 0.3, 0.6], [0.5, 0.55, 0.75], [0.0, 0.5, 1.0]]).view(1, 3, 1, 3)
    expected = [[0, 0.25, 1], [0, 0.2, 1], [0, 0.5, 1]]
    for row, values in zip(AutoContrast(p=1.0)(image)[0, :, 0].tolist(), expected, strict=True):
        assert row == pytest.approx(values, abs=1e-4)


def test_equalize_equals_pillow():
    generator = np.random.default_rng(0)
    pixels = (generator.beta(2, 5, (40, 50, 3)) * 255).astype(np.uint8)
    expected = np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    ours = Equalize(p=1.0)((torch.from_numpy(pixels).permute(2, 0, 1)[None] + 0.5) / 255.5)[0]
    assert np.abs(ours.mul(255).permute(1, 2, 0).numpy() - expected).max() < 1.01


def test_solarize_inverts_what_is_above_a_threshold():
    """With a threshold of U(0.6, 1), 0.5 stays, and 0.8 becomes 0.2 in half of the images."""
    torch.manual_seed(0)
    out = Solarize(threshold=0.6, p=1.0)(torch.tensor([0.5, 0.8]).view(1, 1, 1, 2).repeat(1000, 3, 1, 1))
    assert (out[..., 0] == 0.5).all()
    inverted = torch.isclose(out[:, 0, 0, 1], torch.tensor(0.2))
    assert (inverted | (out[:, 0, 0, 1] == 0.8)).all()
    assert inverted.float().mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("channels", [1, 2])
def test_channels_are_dropped_alike(channels: int):
    torch.manual_seed(0)
    out = ChannelDropout(channels=channels, p=1.0)(torch.full((900, 3, 2, 2), 0.7))
    dropped = (out == 0).all(3).all(2)
    assert (dropped.sum(1) == channels).all() and set(out.unique().tolist()) == {0.0, out.max().item()}
    assert torch.allclose(dropped.float().mean(0), torch.tensor(channels / 3), atol=0.06)


def test_rain_is_light_lines_of_one_length():
    """At 240 pixels, lines have 10 to 20 rows and 40 % of black plus 60 % of 200 / 255; at most 12 % are covered."""
    torch.manual_seed(0)
    out = Rain(p=1.0)(torch.zeros(60, 3, 240, 240))
    light = 0.6 * 200 / 255
    wet = torch.isclose(out, torch.tensor(light))
    assert (wet | (out == 0)).all() and torch.equal(wet[:, 0], wet[:, 2])
    shares = wet[:, 0].float().mean((1, 2))
    assert shares.max() < 0.12 and 0.02 < shares.mean() < 0.06  # most lines are shorter, and lines overlap
    one = Rain(p=1.0)
    one.amount = 1 / (0.12 * 240 * 240 / 20)  # at most one line in each image
    rows = (one(torch.zeros(400, 3, 240, 240))[:, 0] > 0).any(2).sum(1)
    assert 0.4 < (rows > 0).float().mean() < 0.6
    assert set(rows[rows > 0].tolist()) == set(range(10, 21))


def test_rain_covers_images_of_any_size_alike():
    torch.manual_seed(0)
    small, large = ((Rain(p=1.0)(torch.zeros(300, 3, side, side)) > 0).float().mean().item() for side in (48, 192))
    assert small == pytest.approx(large, rel=0.25)


def test_snow_lightens_what_is_dark():
    """Grey has its value as lightness. Below c = U(0.25, 0.5) it is multiplied by U(1.5, 2.5): 0.2 in all images, 0.4
    in 40 % of them, 0.6 in none.
    """
    torch.manual_seed(0)
    out = Snow(amount=0.5, p=1.0)(torch.tensor([0.2, 0.4, 0.6]).view(1, 1, 1, 3).repeat(1500, 3, 1, 1))[:, :, 0]
    factors = out[:, 0, 0] / 0.2
    assert factors.min() >= 1.499 and factors.max() <= 2.501
    assert factors.mean().item() == pytest.approx(2, abs=0.03)
    assert (out[:, 0, 1] > 0.41).float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert torch.allclose(out[:, :, 2], torch.tensor(0.6), atol=1e-5)


def test_a_plasma_shadow_is_a_part_of_the_image_and_equally_dark():
    torch.manual_seed(0)
    out = PlasmaShadow(intensity=0.3, p=1.0)(torch.full((300, 3, 64, 64), 0.8))
    depths = []
    for image in out:
        values = image.unique()
        assert len(values) <= 2 and torch.equal(image[0], image[2])
        depths.append(0.8 - values[0].item())
    assert max(depths) <= 0.3 + 1e-6
    dark = (out < 0.7999).float().mean((1, 2, 3))
    assert dark.mean().item() == pytest.approx(0.5, abs=0.1)
    partly = (dark > 0.02) & (dark < 0.98)
    assert partly.float().mean() > 0.4
    # A shadow is connected: neighbouring pixels are nearly always alike.
    shadow = (out[partly] < 0.7999)[:, 0]
    assert (shadow[..., 1:] == shadow[..., :-1]).float().mean() > 0.9
    assert np.mean([depth for depth, part in zip(depths, partly, strict=True) if part]) == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (Perspective, {"distortion": 2.0}, "perspective.distortion=2: must be between 0 and 1"),
        (Rotation, {"degrees": 181.0}, "rotation.degrees=181: must be between 0 and 180"),
        (MotionBlur, {"length": 2}, "motion_blur.length=2: must be at least 3"),
        (Solarize, {"threshold": 1.1}, "solarize.threshold=1.1: must be between 0 and 1"),
        (ChannelDropout, {"channels": 3}, "channel_dropout.channels=3: must be 1 or 2"),
        (Rain, {"amount": 3.0}, "rain.amount=3: must be between 0 and 1"),
        (Snow, {"amount": 1.5}, "snow.amount=1.5: must be between 0 and 1"),
        (PlasmaShadow, {"intensity": 1.5}, "plasma_shadow.intensity=1.5: must be between 0 and 1"),
    ],
)
def test_strengths_out_of_range_are_refused(kind: type, options: dict, words: str):
    with pytest.raises(ArgumentError, match=words):
        kind(**options)


def test_a_quarter_turn_is_counter_clockwise():
    rotation, images = Rotation(degrees=90.0), torch.rand(1, 3, 7, 7)
    rotation.transforms[0].forward_parameters = lambda shape: {"degrees": torch.tensor([90.0])}
    assert torch.allclose(rotation.augment(images), images.rot90(1, (2, 3)), atol=1e-5)
