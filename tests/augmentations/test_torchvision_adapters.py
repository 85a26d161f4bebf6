import pytest
import torch
from torchvision.transforms import v2

from augmentations.torchvision_adapters import AugMix, RandAugment
from commons.errors import ArgumentError


def test_randaugment_is_torchvisions_with_a_draw_for_each_image():
    images = torch.rand(6, 3, 20, 20)
    torch.manual_seed(0)
    torch.rand(6)  # the probability
    reference = v2.RandAugment(3, 12, interpolation=v2.InterpolationMode.BILINEAR)
    expected = torch.stack([reference(image) for image in images]).clamp(0, 1)
    torch.manual_seed(0)
    assert torch.equal(RandAugment(num_ops=3, magnitude=12)(images.clone()), expected)


@pytest.mark.slow
def test_operations_are_uniform():
    """Of a grey image, 5 of the 14 operations bring in black (rotate, shear and translate in x and y).

    Brightness and posterize make another grey; the others change nothing.
    """
    torch.manual_seed(0)
    image = torch.full((1, 3, 16, 16), 0.5)
    out = RandAugment(num_ops=1, magnitude=15)(image.repeat(3000, 1, 1, 1))
    changed = ((out - image).abs() > 1e-3).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(7 / 14, abs=0.03)
    black = (out == 0).flatten(1).any(1)
    assert black.float().mean().item() == pytest.approx(5 / 14, abs=0.03)


def test_a_mixture_has_the_shares_of_its_distributions():
    """Where all operations give black and the image is 1, the result is m ~ Beta(1, 1), which is uniform."""
    torch.manual_seed(0)
    augmix = AugMix(severity=3, width=3, alpha=1.0)
    augmix.transform._apply_image_or_video_transform = lambda image, *_, **__: torch.zeros_like(image)
    mixed = augmix(torch.ones(2000, 3, 1, 1))[:, 0, 0, 0]
    assert mixed.mean().item() == pytest.approx(0.5, abs=0.02)
    assert mixed.std().item() == pytest.approx(12**-0.5, abs=0.01)


def test_augmix_chains_one_to_three_of_nine_operations():
    torch.manual_seed(0)
    augmix, used = AugMix(severity=10, width=2), []
    augmix.transform._apply_image_or_video_transform = lambda image, name, *_, **__: used.append(name) or image
    images = torch.rand(500, 3, 2, 2)
    assert torch.allclose(augmix(images.clone()), images, atol=1e-5)
    assert len(set(used)) == 9 and not {"Brightness", "Color", "Contrast", "Sharpness"} & set(used)
    assert len(used) / 1000 == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (RandAugment, {"magnitude": 31}, "randaugment.magnitude=31: must be between 1 and 30"),
        (AugMix, {"severity": 11}, "augmix.severity=11: must be between 1 and 10"),
        (AugMix, {"alpha": 0.0}, "augmix.alpha=0: must be above 0"),
    ],
)
def test_strengths_out_of_range_are_refused(kind: type, options: dict, words: str):
    with pytest.raises(ArgumentError, match=words):
        kind(**options)
